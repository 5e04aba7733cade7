from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rh_lens.runtime import Plan, Step, plan_prompts
from rh_lens.runtime.context import shared_prefix

prompts = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=5)


def cost(order, tokens):
    """Tokens read when each prompt keeps what it shares with the one before it."""
    n_read, before = 0, []
    for index in order:
        n_shared = 0
        while (
            n_shared < min(len(before), len(tokens[index])) - 1
            and before[n_shared] == tokens[index][n_shared]
        ):
            n_shared += 1
        n_read += len(tokens[index]) - n_shared
        before = tokens[index]
    return n_read


@given(prompts)
@settings(max_examples=80, deadline=None)
def test_no_order_reads_fewer_tokens(tokens):
    plan = plan_prompts(tokens)
    order = [step.prompt for step in plan.steps]
    best = min(cost(other, tokens) for other in permutations(range(len(tokens))))
    assert plan.n_computed == cost(order, tokens) == best


@given(prompts)
@settings(max_examples=40, deadline=None)
def test_every_prompt_is_read_once_and_shares_a_true_prefix(tokens):
    plan = plan_prompts(tokens)
    assert sorted(step.prompt for step in plan.steps) == list(range(len(tokens)))
    before = []
    for step in plan.steps:
        now = tokens[step.prompt]
        assert now[: step.n_shared] == before[: step.n_shared]
        assert step.n_shared < len(now)
        before = now


def test_a_grid_of_depths_shares_its_haystack():
    """Depths 0, 1/2 and 1 in 8 tokens: 10 + (10 - 0) + (10 - 4) of 30 tokens."""
    haystack = list(range(8))
    grid = [[*haystack[:at], 90, 91, *haystack[at:]] for at in (0, 4, 8)]
    plan = plan_prompts([torch.tensor(tokens) for tokens in grid])
    assert plan.n_tokens == 30
    assert plan.n_computed == 26


def test_equal_prompts_keep_their_order_and_their_last_token_is_read_again():
    plan = plan_prompts([[5, 6, 7], [5, 6, 7]])
    assert plan == Plan((Step(0, 0), Step(1, 2)), 6, 32)
    assert plan.n_computed == 4


def test_without_sharing_the_order_is_the_one_given():
    plan = plan_prompts([[5, 6], [1, 2], [5, 6]], share=False)
    assert plan == Plan((Step(0, 0), Step(1, 0), Step(2, 0)), 6, 32)
    assert plan.n_computed == 6


def test_nothing_to_plan():
    assert plan_prompts([]) == Plan((), 0, 32)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [([], [1], 0), ([1, 2], [1, 2], 2), ([1, 2, 3], [1, 2], 2), ([1, 2], [1, 3, 2], 1)],
)
def test_the_shared_prefix_ends_at_the_first_difference(one, other, expected):
    assert shared_prefix(one, other) == shared_prefix(other, one) == expected
