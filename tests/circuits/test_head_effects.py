"""Silencing heads one at a time, and which of them speak for the context or for the memory."""

import pytest
import torch
from tolerances import model_rounding

from rh_lens.circuits import (
    context_memory_heads,
    head_effects,
    patch_heads,
    patching_effects,
)
from rh_lens.circuits.detectors.context_memory import closed_book_token
from rh_lens.interventions import scale_heads, zero_ablation
from rh_lens.runtime import teacher_force


def answer_log_probability(bridge, prompt, hooks=(), **scope):
    logits = teacher_force(bridge, prompt.tokens, prompt.answer_tokens, **scope)
    rows = logits.double().log_softmax(-1)
    return sum(float(rows[t, token]) for t, token in enumerate(prompt.answer_tokens.tolist()))


@pytest.mark.parametrize("scope", ["decode", "both"])
def test_effects_equal_a_plain_loop(llama, otter_prompt, scope) -> None:
    found = head_effects(llama, [otter_prompt], scope=scope)
    assert found.values.shape == (1, 3, 4)
    assert found.units == (otter_prompt.needle.name,)
    plain = answer_log_probability(llama, otter_prompt)
    for head in ((0, 1), (2, 3)):
        hooks = zero_ablation(head)
        scopes = {"decode_hooks": hooks} | ({"prefill_hooks": hooks} if scope == "both" else {})
        silenced = answer_log_probability(llama, otter_prompt, **scopes)
        assert float(found.values[0][head]) == pytest.approx(
            plain - silenced, abs=30 * model_rounding(llama, len(otter_prompt.tokens))
        )
        assert abs(plain - silenced) > 1e-3


def test_the_prefill_of_a_last_layer_s_head_has_no_effect_and_scale_one_none(
    llama, otter_prompt
) -> None:
    found = head_effects(llama, [otter_prompt], heads=["L2H0", "L2H1"], scope="prefill")
    assert found.values[0, 2, :2].tolist() == [0.0, 0.0]
    assert found.values[0, 2, 2:].isnan().all()
    same = head_effects(
        llama, [otter_prompt], heads="L1H0", operator=lambda head: scale_heads(head, 1.0)
    )
    assert float(same.values[0, 1, 0]) == 0.0
    assert len(same.ranking()) == 1


def test_context_and_memory_are_signed_and_bounded(llama, otter_prompt) -> None:
    memory = closed_book_token(llama, otter_prompt)
    found = context_memory_heads(llama, [otter_prompt])
    assert found.values.abs().max() <= 1
    own = int(otter_prompt.answer_tokens[0])

    def preference(hooks):
        logits = teacher_force(
            llama, otter_prompt.tokens, otter_prompt.answer_tokens[:1], decode_hooks=hooks
        )
        chances = logits[0].double().softmax(-1)
        return float(chances[own] - chances[memory])

    expected = (preference([]) - preference(zero_ablation("L2H1"))) / 2
    tolerance = model_rounding(llama, len(otter_prompt.tokens))
    assert float(found.values[0, 2, 1]) == pytest.approx(expected, abs=3 * tolerance)
    swapped = head_effects(
        llama, [otter_prompt], measure=lambda logits, prompt: -_preference(logits, own, memory)
    )
    torch.testing.assert_close(swapped.values, -found.values, rtol=0, atol=1e-12)


def _preference(logits, own, memory):
    chances = logits[0].double().softmax(-1)
    return float(chances[own] - chances[memory]) / 2


@pytest.mark.slow
def test_patching_effects_are_those_of_patch_heads(demo, answer_pairs, retrieval) -> None:
    found = patching_effects(demo, answer_pairs)
    patched = patch_heads(demo, answer_pairs, retrieval)
    for place, head in enumerate(retrieval):
        expected = patched.effect[:, place].double()
        torch.testing.assert_close(found.values[:, head.layer, head.head], expected)
    assert found.units == tuple(pair.clean.needle.name for pair in answer_pairs.pairs)
    assert set(found.top(4)) == set(retrieval)


def test_without_a_conflict_there_is_no_score(llama, otter_prompt) -> None:
    own = int(otter_prompt.answer_tokens[0])
    with pytest.raises(ValueError, match="Expected a prompt whose needle contradicts"):
        context_memory_heads(llama, [otter_prompt], memory_tokens=[own])
    with pytest.raises(ValueError, match="Expected memory_tokens, one for each of 1 prompts"):
        context_memory_heads(llama, [otter_prompt], memory_tokens=[3, 4])
