import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from intervention_cases import NEVER
from tiny_models import WINDOW, make_tiny_model
from tolerances import rounding

from rh_lens.detection import SourceRecorder
from rh_lens.heads import Head
from rh_lens.interventions import knock_out_edges, uniform_attention
from rh_lens.interventions.uniform import visible_keys
from rh_lens.runtime import decode_batch, inference, prefill

HEADS = [Head(0, 1), Head(2, 3)]
# A row of equal weights is one sum over 40 keys at most.
SHARE = rounding(40)


def patterns(bridge, tokens, hooks, **options):
    """Pattern of each layer, for a batch of prompts."""
    kept = {}

    def keep(pattern, hook):
        kept[hook.layer()] = pattern.clone()

    listening = [(f"blocks.{i}.attn.hook_pattern", keep) for i, _ in bridge.blocks_with("attn")]
    with inference(bridge), bridge.hooks(fwd_hooks=[*hooks, *listening]):
        bridge(tokens, return_type="logits", **options)
    return kept


def first_visible(name, layer, position):
    """First key that a row sees, by the architecture's own rule."""
    windows = {"mistral-window": {0, 1, 2}, "qwen2-window": {1, 2}, "gemma3": {0, 1}}
    windows |= {"gemma2": {0, 2}, "gpt-oss": {0, 2}}
    return max(0, position - WINDOW + 1) if layer in windows.get(name, ()) else 0


@pytest.mark.parametrize(
    "name", ["llama", "mistral-window", "qwen2-window", "gemma2", "gemma3", "bloom", "deepseek-v3"]
)
def test_a_row_gives_each_visible_key_the_same(tiny_model, random_tokens, name):
    bridge = tiny_model(name).bridge
    found = patterns(bridge, random_tokens[None], uniform_attention(bridge, HEADS))
    plain = patterns(bridge, random_tokens[None], [])
    for head in HEADS:
        pattern = found[head.layer][0, head.head].tolist()
        for row in range(40):
            first = first_visible(name, head.layer, row)
            for key in range(40):
                expected = 1 / (row - first + 1) if first <= key <= row else 0.0
                assert pattern[row][key] == pytest.approx(expected, rel=SHARE, abs=0)
    others = [0, 2, 3]
    assert torch.equal(found[0][:, others], plain[0][:, others])


def test_an_attention_sink_keeps_its_share(tiny_model, random_tokens):
    """A row that sees n keys gives each 1 / (n + e^s)."""
    bridge = tiny_model("gpt-oss").bridge
    found = patterns(bridge, random_tokens[None], uniform_attention(bridge, HEADS))
    for head in HEADS:
        sinks = bridge.blocks[head.layer].attn.original_component.sinks.tolist()
        for row in range(40):
            first = first_visible("gpt-oss", head.layer, row)
            expected = 1 / (row - first + 1 + math.exp(sinks[head.head]))
            shares = found[head.layer][0, head.head, row, first : row + 1]
            assert torch.allclose(shares, torch.tensor(expected), rtol=SHARE, atol=0)


@pytest.mark.parametrize("name", ["llama", "mistral-window"])
def test_padding_on_the_left_stays_out_of_sight(tiny_model, random_tokens, name):
    """5 columns of padding: row p sees p - 4 keys, or its window."""
    bridge = tiny_model(name).bridge
    mask = torch.ones(2, 40, dtype=torch.long)
    mask[1, :5] = 0
    hooks = uniform_attention(bridge, [Head(0, 1)])
    found = patterns(bridge, random_tokens.repeat(2, 1), hooks, attention_mask=mask)[0][:, 1]
    for prompt, n_padding in enumerate((0, 5)):
        for row in range(n_padding, 40):
            first = max(n_padding, first_visible(name, 0, row))
            expected = torch.zeros(40)
            expected[first : row + 1] = 1 / (row - first + 1)
            assert torch.allclose(found[prompt, row], expected, rtol=SHARE, atol=0)


def test_steps_through_the_cache_see_all_of_it(llama, random_tokens):
    recorder = SourceRecorder(llama, needle_span=(10, 20), every_row=True)
    hooks = [*uniform_attention(llama, HEADS), *recorder.fwd_hooks()]
    context = prefill(llama, random_tokens[:39])
    with inference(llama), llama.hooks(fwd_hooks=hooks):
        context.read(random_tokens[39:].tolist())
    sources = recorder.result()
    assert sources.weight[0, 0, 1] == pytest.approx(1 / 40, rel=SHARE)
    assert sources.needle_mass[0, 2, 3] == pytest.approx(10 / 40, rel=SHARE)
    assert sources.margin[0, 0, 1] == 0


def test_a_batch_of_padded_prompts_answers_as_one_by_one(llama, random_tokens):
    prompts = [random_tokens, random_tokens[:33]]
    hooks = uniform_attention(llama, HEADS)
    options = {"max_new_tokens": 5, "stop": NEVER}
    both = decode_batch(llama, prompts, decode_hooks=[hooks, hooks], **options)
    for prompt, answer in zip(prompts, both, strict=True):
        (alone,) = decode_batch(llama, [prompt], decode_hooks=[hooks], **options)
        assert torch.equal(alone.tokens, answer.tokens)


@settings(max_examples=60, deadline=None)
@given(
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    scale=st.sampled_from([1.0, 11.3]),
    seed=st.integers(0, 1000),
)
def test_masks_of_every_precision_are_told_from_scores(dtype, scale, seed):
    """Scores up to 3000 and the mask value, added or put there, and divided by a root of d_head."""
    generator = torch.Generator().manual_seed(seed)
    raw = (torch.randn(1, 2, 5, 7, generator=generator) * 1000).clamp(-3000, 3000)
    masked = torch.rand(1, 2, 5, 7, generator=generator) < 0.5
    lowest = torch.finfo(dtype).min / (scale if dtype != torch.float16 else 1.0)
    added = (raw + masked * lowest).to(dtype)
    put = raw.to(dtype).masked_fill(masked, lowest)
    infinite = raw.to(dtype).masked_fill(masked, -torch.inf)
    for scores in (added, put, infinite):
        assert torch.equal(visible_keys(scores, dtype), ~masked)


def test_no_heads_no_hooks_and_no_pass(tiny_tokenizer):
    bridge = make_tiny_model("opt", tiny_tokenizer).bridge
    assert uniform_attention(bridge, []) == knock_out_edges(bridge, [], (1, 2)) == []


@pytest.mark.parametrize("operator", [uniform_attention, lambda *a: knock_out_edges(*a, [1])])
def test_heads_that_the_model_lacks_are_refused(tiny_model, operator):
    with pytest.raises(ValueError, match="Expected heads below 4 in layer 0; found head 4"):
        operator(tiny_model("llama").bridge, [Head(0, 4)])
    with pytest.raises(ValueError, match=r"in the layers \[1\], which have attention; found L0H1"):
        operator(tiny_model("lfm2").bridge, [Head(0, 1)])
    with pytest.raises(TypeError, match="Expected a TransformerBridge; found LlamaForCausalLM"):
        operator(tiny_model("llama").reference, [Head(0, 1)])


@pytest.mark.filterwarnings("error")
def test_trying_out_calls_no_open_hook_and_leaves_no_trace(tiny_model):
    called = []
    for name in ("llama", "opt"):
        bridge = tiny_model(name).bridge
        open_hook = ("blocks.1.attn.hook_pattern", lambda t, hook: called.append(hook.name))
        with bridge.hooks(fwd_hooks=[open_hook]):
            before = bridge.list_hooks()
            if name == "llama":
                uniform_attention(bridge, HEADS)
            else:
                with pytest.raises(ValueError, match="discards such edits"):
                    uniform_attention(bridge, HEADS)
            assert bridge.list_hooks() == before
    assert called == []
