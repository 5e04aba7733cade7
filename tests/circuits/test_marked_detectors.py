"""Detectors that read marked texts and what heads write: plain loops and planted heads."""

import pytest
import torch
from tolerances import model_rounding, weight_rounding

from rh_lens.circuits import (
    copy_suppression_heads,
    copying_heads,
    fact_prompts,
    mark_text,
    name_mover_heads,
    name_prompts,
    negative_name_mover_heads,
    relation_heads,
    s_inhibition_heads,
    subject_heads,
)
from rh_lens.circuits.head_writes import output_matrix, values_at, written_logits

ARCHITECTURES = ("llama", "gpt2", "bamba")


def test_name_prompts_mark_the_names(tiny_tokenizer) -> None:
    for prompt in name_prompts(tiny_tokenizer, n_prompts=6):
        words = {
            name: tiny_tokenizer.decode(prompt.tokens[slice(*span)]).strip()
            for name, span in prompt.spans.items()
        }
        assert words["s1"] == words["s2"] != words["io"]
        assert prompt.text.count(words["s1"]) == 2
        assert prompt.text.count(words["io"]) == 1
        assert prompt.text.endswith("to")
    first = [prompt.spans["io"] < prompt.spans["s1"] for prompt in name_prompts(tiny_tokenizer)]
    assert sum(first) == 8


def test_fact_prompts_mark_subject_and_relation(tiny_tokenizer) -> None:
    prompts = fact_prompts(tiny_tokenizer)
    assert len(prompts) == 8
    subject = tiny_tokenizer.decode(prompts[0].tokens[slice(*prompts[0].spans["subject"])])
    assert subject.strip() == "France"
    assert all(p.spans["relation"][1] <= p.spans["subject"][0] for p in prompts)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_attention_on_parts_equals_plain_loops(tiny_model, architecture) -> None:
    model = tiny_model(architecture)
    prompts = name_prompts(model.bridge.tokenizer, n_prompts=2)
    found = s_inhibition_heads(model.bridge, prompts)
    layers = [layer for layer, _ in model.bridge.blocks_with("attn")]
    for place, prompt in enumerate(prompts):
        _, attention = model.reference_pass(prompt.tokens)
        for row, layer in enumerate(layers):
            a = attention.reshape(-1, model.bridge.cfg.n_heads, *attention.shape[-2:])[row]
            for head in range(len(a)):
                expected = sum(float(a[head, -1, j]) for j in range(*prompt.spans["s2"]))
                assert float(found.values[place, layer, head]) == pytest.approx(
                    expected, abs=weight_rounding(model.bridge, len(prompt.tokens))
                )


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2"])
def test_what_heads_write_adds_up_to_the_attention_output(tiny_model, architecture) -> None:
    bridge = tiny_model(architecture).bridge
    tokens = torch.randint(2, 300, (12,), generator=torch.Generator().manual_seed(0))
    kept = {}

    def keep(tensor, hook):
        kept[hook.name.rsplit(".", 2)[-2] + hook.name.rsplit(".", 1)[-1]] = tensor[0].clone()

    names = ["hook_pattern", "o.hook_in", "o.hook_out"]
    with torch.inference_mode():
        with bridge.hooks(fwd_hooks=[(f"blocks.1.attn.{name}", keep) for name in names]):
            bridge(tokens[None], return_type=None)
        pattern, z, out = kept["attnhook_pattern"], kept["ohook_in"], kept["ohook_out"]
        values = values_at(bridge, tokens, range(12))[1]
        mixed = torch.einsum("hqk,khd->qhd", pattern, values)
        tolerance = model_rounding(bridge, 12)
        torch.testing.assert_close(mixed, z.reshape(mixed.shape), rtol=0, atol=30 * tolerance)
        matrix = output_matrix(bridge, 1, 4)
        project = bridge.blocks[1].attn.o.original_component
        bias = project(torch.zeros(1, 32))
        written = torch.einsum("qhd,hdm->qm", mixed, matrix) + bias
        torch.testing.assert_close(written, out, rtol=0, atol=300 * tolerance)


def test_copying_and_suppression_count_the_own_token_among_the_ends(llama) -> None:
    tokens = torch.randint(2, 300, (20,), generator=torch.Generator().manual_seed(5))
    k = 40
    high = copying_heads(llama, [tokens], k=k, n_positions=20)
    low = copy_suppression_heads(llama, [tokens], k=k, n_positions=20)
    values = values_at(llama, tokens, range(20))
    with torch.inference_mode():
        for layer in range(3):
            logits = written_logits(llama, layer, values[layer])
            for head in range(4):
                places = []
                for j, token in enumerate(tokens.tolist()):
                    order = logits[j, head].argsort(descending=True).tolist()
                    places.append(order.index(token))
                assert float(high.mean()[layer, head]) == sum(p < k for p in places) / 20
                assert float(low.mean()[layer, head]) == sum(p >= 320 - k for p in places) / 20


def embedding_values(llama, sign: float):
    """Hooks that make key-value head 1 of layer 2 hand on what unembeds to the token it reads."""
    matrix = output_matrix(llama, 2, 4)[2]
    norm = llama.ln_final.original_component.weight
    wanted = llama.unembed.original_component.weight * norm
    inverse = torch.linalg.pinv(matrix.double()).float()
    seen = {}

    def remember(embedded, hook):
        seen["tokens"] = embedded

    def plant(v, hook):
        planted = v.clone()
        planted[0, :, 1] = sign * wanted[seen["tokens"][0]] @ inverse
        return planted

    return [("embed.hook_in", remember), ("blocks.2.attn.hook_v", plant)]


@pytest.mark.parametrize(("find", "sign"), [(copying_heads, 1.0), (copy_suppression_heads, -1.0)])
def test_a_planted_copier_and_a_planted_suppressor_are_found(llama, find, sign) -> None:
    tokens = torch.randint(2, 300, (30,), generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        hooks = embedding_values(llama, sign)
    with llama.hooks(fwd_hooks=hooks):
        scores = find(llama, [tokens], k=10, n_positions=30)
    # Eight of 32 directions can be written, so that not every token comes out on top.
    assert float(scores.mean()[2, 2]) > 0.5
    others = scores.mean().flatten().sort(descending=True).values
    assert float(others[2]) < 0.3
    assert scores.top(1)[0].layer == 2


def test_name_movers_look_and_copy(llama) -> None:
    prompts = name_prompts(llama.tokenizer, n_prompts=3)
    up, down = (
        name_mover_heads(llama, prompts, k=320),
        negative_name_mover_heads(llama, prompts, k=320),
    )
    # With the whole vocabulary as its own end, only the attention is left.
    assert torch.equal(up.values, down.values)
    assert (up.values > 0).all()
    narrow = name_mover_heads(llama, prompts, k=1)
    assert ((narrow.values == 0) | (narrow.values == up.values)).all()


def test_heads_look_at_planted_parts(llama) -> None:
    prompt = mark_text(
        llama.tokenizer, "Question: the colour of boats?", subject="boats", relation="colour"
    )

    def plant(pattern, hook):
        planted = torch.zeros_like(pattern)
        planted[..., 0] = 1
        planted[0, 1, -1] = 0
        planted[0, 1, -1, prompt.spans["subject"][0]] = 1
        return planted

    with llama.hooks(fwd_hooks=[("blocks.1.attn.hook_pattern", plant)]):
        subject, relation = subject_heads(llama, [prompt]), relation_heads(llama, [prompt])
    assert float(subject.mean()[1, 1]) == 1.0
    assert float(subject.mean()[1, 0]) == 0.0
    assert relation.mean()[1].tolist() == [0.0] * 4


def test_bad_inputs_are_refused(llama, tiny_model) -> None:
    with pytest.raises(ValueError, match=r"Expected subject to come once in .*; found 'x' 0 times"):
        mark_text(llama.tokenizer, "The otter", subject="x")
    with pytest.raises(ValueError, match="Expected texts with the part 's2'; found"):
        s_inhibition_heads(llama, fact_prompts(llama.tokenizer))
    with pytest.raises(ValueError, match="Expected prompts to have 1 or more entries; found 0"):
        name_mover_heads(llama, [])
    with pytest.raises(ValueError, match="Expected heads with values of their own"):
        copying_heads(tiny_model("deepseek-v3").bridge, [torch.arange(2, 9)])
