"""Bounds that hold after every unit: in simulation, also for heads exactly at the threshold."""

import pytest
import torch

from rh_lens.detection import ConfidenceSequence

THRESHOLD, LEVEL = 0.1, 0.9


def population(kind, n_units, generator):
    """Scores of 12 trials in each unit of eight heads, two of them with exactly the threshold."""
    means = torch.tensor([0.0, 0.02, 0.1, 0.1, 0.13, 0.3, 0.9, 1.0], dtype=torch.float64)
    shape = (n_units, 12, len(means))
    drawn = torch.rand(shape, generator=generator, dtype=torch.float64)
    if kind == "all or nothing":
        # Whole units succeed or fail: the least that can be learned from one.
        return (drawn[:, :1] < means).double().expand(shape), means
    values = (means + 0.1 * (drawn - 0.5)).clamp(0, 1)
    return torch.where((means == 0) | (means == 1), means.expand(shape), values), means


def exactly_at_the_threshold(values):
    """A finite population whose third head scores the threshold on the whole."""
    values = values.clone()
    values[..., 2] += THRESHOLD - values[..., 2].mean()
    return values


def is_wrong(values, truth, n_units):
    """Whether any statement about any head after any unit is false."""
    sequence = ConfidenceSequence(
        values.shape[-1], n_most=12, n_units=n_units, threshold=THRESHOLD, level=LEVEL
    )
    at_least = truth >= THRESHOLD - 1e-12
    for unit in values[:-1]:
        sequence.add(unit.sum(dim=0), torch.full((len(truth),), 12.0))
        found = sequence.bounds()
        outside = (found.low > truth + 1e-9) | (found.high < truth - 1e-9)
        false = (found.above & ~at_least) | (found.below & at_least)
        if (outside | false).any():
            return True
    return False


def n_wrong(kind, n_runs, *, finite, n_units=30):
    generator = torch.Generator().manual_seed(5)
    wrong = 0
    for _ in range(n_runs):
        values, truth = population(kind, n_units, generator)
        if finite:
            if kind == "alike":
                values = exactly_at_the_threshold(values)
            truth = values.mean(dim=(0, 1))
            values = values[torch.randperm(n_units, generator=generator)]
        wrong += is_wrong(values, truth, n_units if finite else None)
    return wrong


@pytest.mark.parametrize("finite", [True, False])
def test_all_statements_hold_together_in_few_runs(finite):
    """20 runs at a level of 0.9: at most 2 wrong would be expected, and the bounds are cautious."""
    assert n_wrong("all or nothing", 20, finite=finite, n_units=16) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("finite", [True, False])
@pytest.mark.parametrize("kind", ["all or nothing", "alike"])
def test_all_statements_hold_together_in_a_thousand_runs(kind, finite):
    assert n_wrong(kind, 250, finite=finite) <= 25


def test_zeros_rule_out_the_threshold_when_all_bets_on_more_are_lost():
    """Of 240 units, 0.1 needs 24 that succeed: known below it after about a fifth of the units."""
    sequence = ConfidenceSequence(32, n_most=12, n_units=240, threshold=THRESHOLD, level=0.95)
    zeros = torch.zeros(32)
    for _ in range(240):
        sequence.add(zeros, torch.full((32,), 12.0))
        if sequence.bounds().below.all():
            break
    assert 40 < sequence.n_seen < 80
    assert (sequence.bounds().low == 0).all()


def test_after_all_units_bounds_are_the_scores_and_nothing_more_may_come():
    sequence = ConfidenceSequence(2, n_most=2, n_units=2, threshold=0.25, level=0.95)
    for totals in ([1.0, 0.0], [0.0, 0.5]):
        sequence.add(torch.tensor(totals), torch.tensor([2.0, 1.0]))
    found = sequence.bounds()
    assert found.low.tolist() == found.high.tolist() == [0.25, 0.25]
    assert found.above.all()
    with pytest.raises(ValueError, match="no more than the 2 units"):
        sequence.add(torch.zeros(2), torch.zeros(2))


def test_heads_of_which_no_trial_counted_have_no_bounds():
    sequence = ConfidenceSequence(2, n_most=1, n_units=None, threshold=0.1, level=0.95)
    for _ in range(200):
        sequence.add(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.0]))
    found = sequence.bounds()
    assert found.above.tolist() == [True, False]
    assert not found.below.any()
    assert found.low[1].isnan()
    assert float(found.low[0]) > 0.9
