import pytest
import torch
from running import NEVER, STEPS, grid
from tolerances import assert_close, assert_differs, model_rounding

from rh_lens.heads import Head
from rh_lens.interventions import scale_heads, uniform_attention, zero_ablation
from rh_lens.runtime import (
    Condition,
    Execution,
    answer_prompts,
    greedy_decode,
    inference,
    open_context,
    teacher_force,
)

HOOKS = zero_ablation([Head(0, 1), Head(1, 2)])


def logits(bridge, tokens, condition, **execution):
    return teacher_force(
        bridge,
        tokens,
        tokens[:5],
        prefill_hooks=condition.prefill_hooks,
        decode_hooks=condition.decode_hooks,
        execution=Execution(**execution),
    )


def test_a_scope_says_where_hooks_are_on():
    on = {
        scope: (
            bool(Condition(HOOKS, scope).prefill_hooks),
            bool(Condition(HOOKS, scope).decode_hooks),
        )
        for scope in ("prefill", "decode", "both")
    }
    assert on == {"prefill": (True, False), "decode": (False, True), "both": (True, True)}
    assert Condition(HOOKS).prefill_hooks is Condition(HOOKS).decode_hooks is HOOKS
    assert Condition() == Condition((), "both")


def test_an_unknown_scope_is_refused():
    condition = Condition()
    object.__setattr__(condition, "scope", "answer")
    with pytest.raises(ValueError, match=r"of prefill, decode, both; found 'answer'\. Choose"):
        condition.__post_init__()


@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt2", "opt", "deepseek-v3", "lfm2"])
def test_the_last_layers_heads_change_nothing_in_the_prefill(tiny_model, random_tokens, name):
    """Nothing reads what they write there, so that not a bit differs; in decoding it does."""
    bridge = tiny_model(name).bridge
    last = bridge.blocks_with("attn")[-1][0]
    hooks = zero_ablation((Head(last, head) for head in range(4)), model=bridge)
    plain = logits(bridge, random_tokens, Condition())
    in_prefill = logits(bridge, random_tokens, Condition(hooks, "prefill"))
    # The one layer of attention in LFM2 is followed by a convolution, which has memory.
    assert torch.equal(in_prefill, plain) == (name != "lfm2")
    assert not torch.equal(logits(bridge, random_tokens, Condition(hooks, "decode")), plain)


@pytest.mark.parametrize("prefill", ["whole", "chunked", "sdpa"])
def test_both_is_prefill_and_decode(llama, random_tokens, prefill):
    both = logits(llama, random_tokens, Condition(HOOKS), prefill=prefill)
    separate = teacher_force(
        llama,
        random_tokens,
        random_tokens[:5],
        prefill_hooks=HOOKS,
        decode_hooks=HOOKS,
        execution=Execution(prefill=prefill),
    )
    with llama.hooks(fwd_hooks=HOOKS):
        held_open = logits(llama, random_tokens, Condition(), prefill=prefill)
    assert torch.equal(both, separate)
    assert torch.equal(both, held_open)
    for scope in ("prefill", "decode"):
        assert not torch.equal(logits(llama, random_tokens, Condition(HOOKS, scope)), both)


def test_no_hooks_change_no_bit(llama, random_tokens):
    plain = teacher_force(llama, random_tokens, random_tokens[:5])
    for scope in ("prefill", "decode", "both"):
        for hooks in ((), zero_ablation([]), uniform_attention(llama, [])):
            assert torch.equal(logits(llama, random_tokens, Condition(hooks, scope)), plain)


@pytest.mark.parametrize("name", ["llama", "qwen2-window", "gemma3", "gpt2", "opt"])
def test_a_prefill_condition_acts_under_sdpa(tiny_model, random_tokens, name):
    bridge = tiny_model(name).bridge
    condition = Condition(HOOKS, "prefill")
    fused = logits(bridge, random_tokens, condition, prefill="sdpa")
    eager = logits(bridge, random_tokens, condition, prefill="whole")
    plain = logits(bridge, random_tokens, Condition(), prefill="sdpa")
    relative = model_rounding(bridge, len(random_tokens))
    assert_close(fused, eager, relative)
    assert_differs(fused, plain, relative)


def test_a_prefill_condition_on_attention_is_read_through_the_bridge(llama, random_tokens):
    """300 tokens would be read with SDPA, which calls no hook on scores: read so, it acts."""
    tokens = random_tokens.repeat(8)[:300]
    hooks = uniform_attention(llama, [Head(0, 1), Head(1, 2)])
    condition = Condition(hooks, "prefill")
    assert open_context(llama, tokens, longest=305).strategy.prefill.name == "sdpa"
    found = logits(llama, tokens, condition)
    expected = logits(llama, tokens, condition, prefill="whole")
    relative = model_rounding(llama, len(tokens))
    assert_close(found, expected, relative)
    assert_differs(found, logits(llama, tokens, Condition()), relative)


@pytest.mark.parametrize("name", ["llama", "mistral-window", "lfm2"])
@pytest.mark.parametrize("speculate", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_conditions_of_every_scope_answer_as_alone(tiny_model, name, speculate):
    bridge, prompts = tiny_model(name).bridge, grid()[:2]
    layer = bridge.blocks_with("attn")[0][0]
    hooks = scale_heads([Head(layer, head) for head in range(4)], -1.0)
    conditions = {scope: Condition(hooks, scope) for scope in ("prefill", "decode", "both")}
    conditions["plain"] = Condition()
    answers = answer_prompts(
        bridge,
        prompts,
        conditions,
        max_new_tokens=STEPS,
        stop=NEVER,
        execution=Execution(speculate=speculate),
    )
    found = {
        (name, answer.index): answer.generation.tokens
        for together in answers
        for name, answer in together.items()
    }
    assert len(found) == 4 * 2
    for (scope, index), tokens in found.items():
        alone = greedy_decode(
            bridge,
            prompts[index].tokens,
            max_new_tokens=STEPS,
            stop=NEVER,
            prefill_hooks=conditions[scope].prefill_hooks,
            decode_hooks=conditions[scope].decode_hooks,
        )
        assert torch.equal(alone.tokens, tokens)
    said = {tuple(found[scope, 0].tolist()) for scope in conditions}
    assert len(said) >= 3


def test_hooks_are_off_again_afterwards(llama, random_tokens):
    plain = logits(llama, random_tokens, Condition())
    logits(llama, random_tokens, Condition(HOOKS))
    assert llama.list_hooks() == {}
    assert torch.equal(logits(llama, random_tokens, Condition()), plain)
    with inference(llama), pytest.raises(ValueError, match="Expected heads below 4 in layer 0"):
        logits(llama, random_tokens, Condition(zero_ablation([Head(0, 7)])))
    assert llama.list_hooks() == {}
