"""Units: runs of prompts that share a cache, and nothing with the prompts of other units."""

import pytest
import torch
from planted import make_prompt

from rh_lens.runtime import Execution, StopRule, answer_prompts, plan, plan_prompts

NEVER = StopRule(frozenset())


@pytest.fixture(autouse=True)
def units_of_two(monkeypatch):
    monkeypatch.setattr(plan, "UNIT", 2)


def test_a_unit_begins_with_an_empty_cache():
    found = plan_prompts([[1, 2, 3, index] for index in range(5)])
    assert found.units == ((0, 1), (2, 3), (4,))
    assert [step.n_shared for step in found.steps] == [0, 3, 0, 3, 0]
    assert found.n_computed == 20 - 6


def test_the_units_of_no_prompts():
    assert plan_prompts([]).units == ()


@pytest.fixture
def prompts(random_tokens):
    """Five prompts that share 25 tokens, in the order of the plan."""
    return [make_prompt([*random_tokens[:25].tolist(), n, 7, 8], (2, 4)) for n in range(9, 14)]


def answer(model, prompts, only=None, **execution):
    """Answers, and how many tokens the first layer read."""
    n_read = []

    def count(embedding, hook):
        n_read.append(embedding.shape[1])

    with model.hooks(fwd_hooks=[("hook_embed", count)]):
        done = {("plain", n) for n in range(len(prompts)) if only is not None and n not in only}
        options = {"max_new_tokens": 4, "stop": NEVER, "execution": Execution(**execution)}
        answers = [one["plain"] for one in answer_prompts(model, prompts, done=done, **options)]
    return answers, sum(n_read)


def test_what_is_not_wanted_is_answered_only_for_the_state_it_leaves(llama, prompts):
    """A prompt alone: 27 tokens to fill the cache and 4 rows; behind another, 2 tokens and 4."""
    n_read = {only: answer(llama, prompts, only, speculate=False)[1] for only in [(2,), (3,), (4,)]}
    assert n_read[2,] == n_read[4,]
    assert n_read[3,] == n_read[2,] + 2 + 4
    assert answer(llama, prompts, (0, 4), speculate=False)[1] == n_read[4,] + 27 + 4
    assert answer(llama, prompts, (), speculate=False) == ([], 0)
    alone = {"speculate": False, "share_prefixes": False}
    assert answer(llama, prompts, (3,), **alone)[1] == answer(llama, prompts, (2,), **alone)[1]


def test_the_answers_are_those_of_the_whole_list(llama, prompts):
    whole, _ = answer(llama, prompts)
    assert [one.index for one in whole] == [0, 1, 2, 3, 4]
    for index in range(5):
        ((found,), _) = answer(llama, prompts, [index])
        assert torch.equal(found.generation.tokens, whole[index].generation.tokens)
        assert found.generation.n_passes == whole[index].generation.n_passes
