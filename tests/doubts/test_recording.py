"""Recorded rows are those of the attention patterns, and the planted head's looks are known."""

import pytest
import torch
from planted_circuit import INDUCTION

from rh_lens.doubts import random_models, record_answers, shuffled_steps


def test_rows_are_those_of_the_patterns(planted, prompts):
    prompt = prompts[0]
    (row,) = record_answers(planted, [prompt])
    tokens = torch.cat([prompt.tokens, prompt.answer_tokens[:-1]])
    _, cache = planted.run_with_cache(tokens[None])
    pattern = cache["blocks.1.attn.hook_pattern"][0, :, len(prompt.tokens) - 1 :]
    top = pattern.topk(3, dim=-1)
    h = INDUCTION.head
    assert row.ranked[:, 1, h].equal(top.indices[h])
    assert row.ranked[..., 0].equal(row.sources.source)
    start, stop = prompt.needle_span
    torch.testing.assert_close(row.needle_mass[:, 1].T, pattern[..., start:stop].sum(-1))
    entropy = torch.special.entr(pattern).sum(-1)
    torch.testing.assert_close(row.entropy[:, 1].T, entropy, rtol=1e-4, atol=1e-4)


def test_the_planted_head_copies_step_by_step(planted, prompts):
    rows = record_answers(planted, prompts)
    found = shuffled_steps(rows, n_draws=99)
    assert found.heads() == [INDUCTION] or INDUCTION in found.heads()
    assert float(found.observed[INDUCTION.layer, INDUCTION.head]) == 1.0


def test_answers_must_be_as_many_as_prompts(planted, prompts):
    with pytest.raises(ValueError, match="found 1 answers"):
        record_answers(planted, prompts, [torch.tensor([3])])


@pytest.mark.slow
def test_random_weights_copy_nothing_and_the_planted_ones_do(planted, prompts):
    state = torch.random.get_rng_state()
    found = random_models(planted, prompts[:2], n_models=19)
    assert torch.random.get_rng_state().equal(state)
    assert float(found.observed[INDUCTION.layer, INDUCTION.head]) == 1.0
    assert float(found.chance.max()) < 0.1
    assert float(found.corrected()[INDUCTION.layer, INDUCTION.head]) == 1 / 20
    again = random_models(planted, prompts[:2], n_models=2)
    assert again.draws.equal(found.draws[:2])


@pytest.mark.slow
def test_a_model_with_random_weights_is_no_exception_among_its_likes(llama, otter_prompt):
    found = random_models(llama, [otter_prompt], n_models=5)
    assert found.smallest_pvalue == 1 / 6
    assert found.heads() == []
