import pytest
import torch
from running import NEVER, STEPS, assert_equals_hugging_face, assert_same, grid, run
from tiny_models import ARCHITECTURES, OTHERS

from rh_lens.runtime import (
    Condition,
    Execution,
    answer_prompts,
    decode_batch,
    greedy_decode,
    stop_rule,
    strategy,
)


@pytest.fixture(autouse=True)
def short_passes(monkeypatch):
    """So short that every prompt takes several, and that "auto" decides as for long ones."""
    monkeypatch.setattr(strategy, "EAGER_CHUNK", 16)
    monkeypatch.setattr(strategy, "SDPA_CHUNK_CPU", 25)
    monkeypatch.setattr(strategy, "SHORT", 8)


def uneven():
    """Prompts of 71, 58 and 45 tokens."""
    return [grid(n_haystack=n)[1] for n in (60, 47, 34)]


# OPT derives its positions itself.
PADDABLE = [name for name in (*ARCHITECTURES, *OTHERS) if name != "opt"]


@pytest.mark.parametrize("name", PADDABLE)
@pytest.mark.parametrize("prefill", ["auto", pytest.param("whole", marks=pytest.mark.slow)])
def test_batched_equals_one_at_a_time(tiny_model, name, prefill):
    model, prompts = tiny_model(name), uneven()
    found = run(model.bridge, prompts, batch_size=3, prefill=prefill)
    assert_equals_hugging_face(model, prompts, found)


def test_the_last_batch_may_be_smaller(tiny_model):
    bridge, prompts = tiny_model("llama").bridge, uneven()
    assert_same(bridge, run(bridge, prompts, batch_size=2), run(bridge, prompts))


def zero_head_two(z, hook):
    z = z.clone()
    z[:, :, 2] = 0.0
    return z


def test_hooks_act_on_their_own_row_only(llama):
    prompts = [prompt.tokens for prompt in uneven()]
    hooks = [("blocks.0.attn.hook_z", zero_head_two)]
    found = decode_batch(
        llama, prompts, decode_hooks=[[], hooks, []], max_new_tokens=STEPS, stop=NEVER
    )
    for tokens, own, generation in zip(prompts, [[], hooks, []], found, strict=True):
        alone = greedy_decode(llama, tokens, max_new_tokens=STEPS, stop=NEVER, decode_hooks=own)
        assert torch.equal(generation.tokens, alone.tokens)
    plain = greedy_decode(llama, prompts[1], max_new_tokens=STEPS, stop=NEVER)
    assert not torch.equal(found[1].tokens, plain.tokens)


def test_an_answer_that_has_ended_waits_for_the_others(llama):
    prompts = [prompt.tokens for prompt in uneven()]
    alone = [greedy_decode(llama, p, max_new_tokens=STEPS, stop=NEVER).tokens for p in prompts]
    stop = stop_rule(llama.tokenizer, newline=False, eos=[int(alone[0][2])])
    calls = []

    def note(z, hook):
        calls.append(z.shape[0])

    hooks = [[("blocks.0.attn.hook_z", note)], [], []]
    found = decode_batch(llama, prompts, decode_hooks=hooks, max_new_tokens=STEPS, stop=stop)
    for tokens, generation in zip(prompts, found, strict=True):
        expected = greedy_decode(llama, tokens, max_new_tokens=STEPS, stop=stop)
        assert torch.equal(generation.tokens, expected.tokens)
        assert generation.stop_reason == expected.stop_reason
    assert calls == [1] * (len(found[0].tokens) + 1)


@pytest.mark.parametrize("name", ["lfm2", "bamba", "dynamic", "opt"])
def test_what_padding_would_disturb_is_refused(tiny_model, name):
    with pytest.raises(ValueError, match=r"can be padded; .* Use batch_size=1"):
        run(tiny_model(name).bridge, uneven(), batch_size=3)


def test_conditions_on_decoding_are_answered_in_batches_too(llama):
    prompts = uneven()
    conditions = {
        "plain": Condition(scope="decode"),
        "zero": Condition([("blocks.0.attn.hook_z", zero_head_two)], "decode"),
    }
    options = {"max_new_tokens": STEPS, "stop": NEVER}
    found = {
        (name, answer.index): answer.generation.tokens
        for together in answer_prompts(
            llama, prompts, conditions, execution=Execution(batch_size=2), **options
        )
        for name, answer in together.items()
    }
    assert len(found) == 2 * len(prompts)
    for (name, index), tokens in found.items():
        hooks = conditions[name].decode_hooks
        alone = greedy_decode(llama, prompts[index].tokens, decode_hooks=hooks, **options)
        assert torch.equal(tokens, alone.tokens)


def test_hooks_on_the_reading_of_padded_prompts_are_refused(llama):
    conditions = {"zero": Condition([("blocks.0.attn.hook_z", zero_head_two)], "both")}
    answers = answer_prompts(
        llama,
        uneven(),
        conditions,
        max_new_tokens=2,
        stop=NEVER,
        execution=Execution(batch_size=2),
    )
    with pytest.raises(ValueError, match=r"on decoding only.*found 'zero' with the scope 'both'"):
        next(answers)
