"""The test over needles and the equivalence test: level under nulls, and power."""

import numpy as np
import pytest
from simulate import Rate
from simulated_answers import ALIKE, N_PROMPTS, exchangeable_answers

from rh_lens.evaluation import difference_interval, equivalence_pvalue, sign_flip_pvalue
from rh_lens.evaluation.intervals import difference_ends

LEVEL = 0.05


@pytest.mark.parametrize("n_needles", [6, 12, 30])
@pytest.mark.parametrize("null", ALIKE)
def test_two_conditions_alike_are_rarely_told_apart(null, n_needles, repeats, record):
    rng, n_cases = np.random.default_rng(n_needles), repeats(quick=200, full=4_000)
    answers = exchangeable_answers(null, rng, n_cases=n_cases, n_sets=2, n_needles=n_needles)
    needles = np.repeat(np.arange(n_needles), N_PROMPTS)
    hits = 0
    for differences in (answers[:, 0] - answers[:, 1]).reshape(n_cases, -1):
        hits += sign_flip_pvalue(differences, needles, n_flips=999) <= LEVEL
    rate = record(Rate("sign flips over needles", null, n_needles, hits, n_cases, "level"))
    assert rate.at_most(LEVEL)


@pytest.mark.parametrize("n_needles", [6, 12, 30])
def test_a_planted_loss_is_found(n_needles, repeats, record):
    rng, n_cases = np.random.default_rng(n_needles), repeats(quick=100, full=1_000)
    before = rng.random((n_cases, n_needles)) < 0.95
    after = before & (rng.random((n_cases, n_needles)) < 0.2)
    hits = sum(
        sign_flip_pvalue(one, np.arange(n_needles), n_flips=999) <= LEVEL
        for one in after.astype(float) - before
    )
    rate = record(
        Rate("sign flips over needles", "0.95 to 0.19", n_needles, hits, n_cases, "power")
    )
    assert rate.at_least({6: 0.4, 12: 0.95, 30: 0.99}[n_needles])


def at_the_margin(null, rng, n_cases, n_needles, margin):
    """Means of what a condition answers more and less, its recall being lower by the margin."""
    shape = (n_cases, n_needles, N_PROMPTS)
    if null == "independent prompts":
        before, after = rng.random(shape) < 0.9, rng.random(shape) < 0.9 - margin
    elif null == "whole needles":
        lost = rng.random((n_cases, n_needles, 1)) < margin
        before, after = np.ones(shape, bool), np.broadcast_to(~lost, shape)
    else:
        # Needles lose different shares of their prompts: most nothing, some much.
        chance = rng.beta(margin, 1 - margin, (n_cases, n_needles, 1))
        before, after = np.ones(shape, bool), rng.random(shape) >= chance
    return ((after & ~before).mean(-1)[:, None], (before & ~after).mean(-1)[:, None])


@pytest.mark.parametrize("n_needles", [6, 12, 30, 60])
@pytest.mark.parametrize("null", ["independent prompts", "whole needles", "some needles, in part"])
@pytest.mark.parametrize("margin", [0.1, 0.2])
def test_a_difference_at_the_margin_is_rarely_called_none(margin, null, n_needles, repeats, record):
    rng, n_cases = np.random.default_rng(n_needles), repeats(quick=2_000, full=20_000)
    gains, losses = at_the_margin(null, rng, n_cases, n_needles, margin)
    n = n_needles * N_PROMPTS
    low, high = difference_ends(gains, losses, n, 1 - 2 * LEVEL, exact=True)
    hits = int(((low > -margin) & (high < margin)).sum())
    rate = record(Rate(f"equivalence, margin {margin}", null, n_needles, hits, n_cases, "level"))
    assert rate.at_most(LEVEL)


@pytest.mark.parametrize(
    ("margin", "n_needles", "power"),
    [(0.2, 12, 0.0), (0.2, 30, 0.9), (0.1, 30, 0.3), (0.1, 60, 0.9)],
)
def test_next_to_no_change_is_called_none(margin, n_needles, power, repeats, record):
    # One prompt in 200 changes, either way.
    rng, n_cases = np.random.default_rng(n_needles), repeats(quick=2_000, full=20_000)
    luck = rng.random((n_cases, 1, n_needles, N_PROMPTS))
    gains, losses = (luck < 0.0025).mean(-1), (luck > 0.9975).mean(-1)
    low, high = difference_ends(gains, losses, n_needles * N_PROMPTS, 1 - 2 * LEVEL, exact=True)
    hits = int(((low > -margin) & (high < margin)).sum())
    method = f"equivalence, margin {margin}"
    rate = record(Rate(method, "1 in 200 changes", n_needles, hits, n_cases, "power"))
    assert rate.at_least(power)


def test_the_equivalence_test_is_its_interval():
    rng = np.random.default_rng(0)
    needles = np.repeat(np.arange(12), N_PROMPTS)
    for _ in range(5):
        first = rng.random(len(needles)) < 0.9
        second = np.where(rng.random(len(needles)) < 0.1, ~first, first)
        p = equivalence_pvalue(first, second, needles, margin=0.2)
        inside = difference_interval(first, second, needles, level=1 - 2 * p, exact=True)
        assert max(inside.high, -inside.low) == pytest.approx(0.2, abs=1e-6) or p == 1.0
