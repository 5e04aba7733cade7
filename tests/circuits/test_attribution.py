"""What heads write: sums that are logits, loops, TransformerLens's own, and planted heads."""

import pytest
import torch
from planted_circuit import IDLE, INDUCTION, PREVIOUS, SUPPRESSOR
from tiny_models import make_tiny_model
from tolerances import assert_close, model_rounding

from rh_lens.circuits import attribute_logits, source_contributions, write_scores
from rh_lens.heads import Head

ARCHITECTURES = ["llama", "gpt2", "gemma2", "gemma3", "gpt-neox", "qwen3", "phi3", "opt", "lfm2"]


def whole_pass(model, prompt):
    """Logits of the answer's rows before any soft cap, and the cache, in one whole pass."""
    tokens = torch.cat([prompt.tokens, prompt.answer_tokens[:-1]])[None]
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens)
    rows = slice(len(prompt.tokens) - 1, None)
    return cache["unembed.hook_out"][0, rows], cache


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("against", ["nothing", "vocabulary"])
def test_contributions_sum_to_the_logit(tiny_model, otter_prompt, name, against):
    model = tiny_model(name).bridge
    found = attribute_logits(model, [otter_prompt], against=against)
    logits, _ = whole_pass(model, otter_prompt)
    own = logits.gather(-1, otter_prompt.answer_tokens[:, None])[:, 0]
    expected = (own - logits.mean(-1) if against == "vocabulary" else own).mean()
    allowed = 40 * model_rounding(model, 160) * float(logits.abs().max())
    assert float(found.values.sum()) == pytest.approx(float(expected), abs=allowed)
    assert float(found.logits) == pytest.approx(float(expected), abs=allowed)
    assert float(found.to_dataframe().so_far.iloc[-1]) == pytest.approx(
        float(expected), abs=allowed
    )


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2", "gpt-neox"])
def test_a_heads_sources_sum_to_its_direct_logit_attribution(tiny_model, otter_prompt, name):
    model = tiny_model(name).bridge
    found = source_contributions(model, otter_prompt)
    heads = attribute_logits(model, [otter_prompt]).by_head()
    sums = found.values.sum(dim=-1).mean(dim=0).reshape(heads.shape)
    assert_close(sums, heads, 40 * model_rounding(model, 160))
    assert_close(found.from_answer + found.from_elsewhere, found.values.sum(dim=-1), 1e-5)


@pytest.mark.parametrize("norm", [True, False])
def test_contributions_of_sources_as_plain_loops(llama, otter_prompt, norm):
    """Written out for one head and one answer token of a Llama: RMSNorm, grouped queries."""
    found = source_contributions(llama, otter_prompt, "L1H3", against="nothing", norm=norm)
    _, cache = whole_pass(llama, otter_prompt)
    token, row = 2, len(otter_prompt.tokens) + 1
    value = cache["blocks.1.attn.hook_v"][0].reshape(-1, 2, 8)[:, 3 // 2]
    projection = llama.original_model.model.layers[1].self_attn.o_proj
    weight = projection.original_component.weight[:, 24:32].detach()
    unembedding = llama.W_U[:, otter_prompt.answer_tokens[token]].detach()
    stream = cache["blocks.2.hook_resid_post"][0, row]
    if norm:
        scale = (stream.pow(2).mean() + 1e-6).sqrt()
        unembedding = unembedding * llama.ln_final.weight.detach() / scale
    pattern = cache["blocks.1.attn.hook_pattern"][0, 3, row]
    expected = torch.tensor(
        [float(pattern[key] * ((weight @ value[key]) @ unembedding)) for key in range(row + 1)]
    )
    assert_close(found.values[token, 0, : row + 1], expected, 40 * model_rounding(llama, 160))


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_transformer_lens_says_the_same_in_compatibility_mode(tiny_tokenizer, otter_prompt, name):
    from transformer_lens.tools.analysis import direct_logit_attribution

    model = make_tiny_model(name, tiny_tokenizer).bridge
    found = attribute_logits(model, [otter_prompt], against="vocabulary")
    n_answer = len(otter_prompt.answer_tokens)
    tokens = torch.cat([otter_prompt.tokens, otter_prompt.answer_tokens[:-1]])[None]
    # Values keep their biases, which it would else move out of the heads.
    model.enable_compatibility_mode(fold_value_biases=False)
    expected = torch.stack(
        [
            direct_logit_attribution(
                model, tokens, int(token), unit="head", pos=place - n_answer
            ).attribution[:12, 0]
            for place, token in enumerate(otter_prompt.answer_tokens)
        ]
    ).mean(dim=0)
    # Its unembedding is centred, as "vocabulary" is.
    assert_close(found.by_head().flatten(), expected.detach(), 40 * model_rounding(model, 160))


def test_planted_heads_write_what_was_planted(planted, planted_prompt):
    scores = write_scores(planted, [planted_prompt]).mean()
    assert scores[INDUCTION.layer, INDUCTION.head] == scores.max() > 1
    ratio = scores[SUPPRESSOR.layer, SUPPRESSOR.head] / scores.max()
    assert float(ratio) == pytest.approx(-0.5, abs=1e-4)
    for head in [*IDLE, PREVIOUS]:
        assert abs(scores[head.layer, head.head]) < 0.02 * scores.max()


def test_only_tokens_that_the_model_says_count(llama, otter_prompt):
    """The random model says none of them."""
    found = source_contributions(llama, otter_prompt)
    assert not found.chosen.any()
    assert write_scores(llama, [otter_prompt]).values.isnan().all()
    every = write_scores(llama, [otter_prompt], only_chosen=False).values[0]
    contrast = (found.from_answer - found.from_elsewhere).mean(dim=0)
    assert_close(every.flatten(), contrast, 1e-4)


def test_the_retrieval_heads_write_the_answer(demo, demo_prompts, retrieval):
    scores = write_scores(demo, demo_prompts)
    assert set(scores.top(4)) == set(retrieval)
    ranking = scores.ranking()
    fourth, fifth = (scores.mean()[h.layer, h.head] for h in ranking[3:5])
    assert fourth > 10 * fifth


def test_heads_come_in_the_order_asked_for_and_must_exist(llama, otter_prompt):
    found = source_contributions(llama, otter_prompt, ["L2H1", (0, 3)])
    assert found.heads == (Head(2, 1), Head(0, 3))
    assert list(found.to_dataframe().label.unique()) == ["L2H1", "L0H3"]
    with pytest.raises(ValueError, match="below 4 in layer 2; found head 4"):
        source_contributions(llama, otter_prompt, "L2H4")
