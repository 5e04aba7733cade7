"""Interactions and shares of heads whose joint effect is known."""

import itertools

import pytest
import torch
from planted_circuit import IDLE, INDUCTION, SUPPRESSOR

from rh_lens.doubts import JointEffects, joint_effects, shapley_values
from rh_lens.heads import Head

A, B, C = Head(0, 0), Head(0, 1), Head(0, 2)


def made(value):
    """Joint effects of three heads by a function of the set that is left on, on four needles."""
    noise = torch.tensor([0.1, -0.1, 0.05, -0.05], dtype=torch.float64)
    sets = [frozenset(one) for size in range(4) for one in itertools.combinations((A, B, C), size)]
    silenced = {off: value({A, B, C} - off) * (1 + noise) for off in sets}
    return JointEffects((A, B, C), silenced, ("a", "b", "c", "d"))


def test_heads_that_add_up_do_not_interact():
    found = made(lambda on: 2.0 * (A in on) + 1.0 * (B in on))
    assert found.interaction(A, B).mean == pytest.approx(0)
    assert found.backup().mean == pytest.approx(0)
    assert found.rescue(A).mean == pytest.approx(2)
    assert found.rescue(C).mean == pytest.approx(0)


def test_heads_that_back_one_another_up_lose_more_together():
    found = made(lambda on: 3.0 * (A in on or B in on))
    assert [float(found.lost([one]).abs().max()) for one in (A, B)] == [0.0, 0.0]
    assert found.interaction(A, B).low > 0
    assert found.interaction(A, B).mean == pytest.approx(3)
    assert found.backup().low > 0
    assert found.rescue(B).mean == pytest.approx(3)


def test_a_chain_loses_all_with_either_link():
    found = made(lambda on: 3.0 * (A in on and B in on))
    assert found.interaction(A, B).high < 0
    assert found.rescue(A).mean == pytest.approx(0)


def test_the_planted_head_has_all_of_the_share(planted, prompts):
    heads = [INDUCTION, SUPPRESSOR, IDLE[-1]]
    joint = joint_effects(planted, prompts, heads)
    found = shapley_values(planted, prompts, heads)
    assert found.n_orders == 6
    assert not found.sampling_error.any()
    torch.testing.assert_close(found.values.sum(dim=0), joint.lost(heads))
    assert found.value(INDUCTION).low > 0
    assert found.value(SUPPRESSOR).high < 0
    assert found.value(IDLE[-1]).mean == pytest.approx(0, abs=1e-4)
    assert found.to_dataframe()["head"][0] == INDUCTION.label
    table = joint.to_dataframe()
    assert table["kind"].value_counts().to_dict() == {
        "alone": 3, "rescue": 3, "interaction": 3, "all": 1
    }  # fmt: skip


@pytest.mark.slow
def test_sampled_shares_are_near_the_exact_ones_within_their_error(planted, prompts):
    heads = [INDUCTION, SUPPRESSOR, *IDLE[-2:]]
    exact = shapley_values(planted, prompts[:2], heads, n_orders=24)
    sampled = shapley_values(planted, prompts[:2], heads, n_orders=6, seed=1)
    torch.testing.assert_close(sampled.values.sum(dim=0), exact.values.sum(dim=0))
    off = (sampled.values - exact.values).mean(dim=1).abs()
    assert bool((off <= 3.5 * sampled.sampling_error + 1e-3).all())


def test_one_head_has_nobody_to_be_backed_up_by(planted, prompts):
    with pytest.raises(ValueError, match="two heads or more; found 1"):
        joint_effects(planted, prompts, INDUCTION)
