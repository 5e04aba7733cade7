"""Coverage of the intervals of recall and of differences in recall."""

import numpy as np
import pytest
from simulate import Rate
from simulated_answers import N_PROMPTS, beta_answers

from rh_lens.evaluation.intervals import difference_ends, share_ends
from rh_lens.evaluation.moments import crossed_moments

NEEDLES = [3, 6, 12, 30]


def holds(low, high, truth):
    return int(((low <= truth + 1e-9) & (high >= truth - 1e-9)).sum())


@pytest.mark.parametrize("n_needles", NEEDLES)
@pytest.mark.parametrize("icc", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("mean", [0.5, 0.7, 0.9, 0.97])
def test_the_interval_of_recall_holds_the_truth(mean, icc, n_needles, repeats, record):
    rng, n_cases = np.random.default_rng(n_needles), repeats(quick=500, full=10_000)
    means = beta_answers(rng, mean=mean, icc=icc, n_cases=n_cases, n_needles=n_needles)
    moments = crossed_moments(means[:, None])
    low, high = share_ends(moments, n_needles, n_needles * N_PROMPTS, 0.95)
    case = f"recall {mean}, likeness of a needle's prompts {icc:g}"
    rate = record(
        Rate("mean_interval", case, n_needles, holds(low, high, mean), n_cases, "coverage")
    )
    assert rate.at_least(0.92)


def paired(case, rng, n_cases, n_draws, n_needles):
    """Answers of the top and of draws, `[case draw needle prompt]`, and the true difference."""
    one, many = (n_cases, 1, n_needles, N_PROMPTS), (n_cases, n_draws, n_needles, N_PROMPTS)
    if case == "independent prompts":
        return rng.random(one) < 0.5, rng.random(many) < 0.8, -0.3
    if case == "all or nothing":
        return rng.random(one) < 0.03, rng.random(many) < 0.97, -0.94
    if case == "whole needles":
        luck = rng.random((n_cases, 1, n_needles, 1))
        top = np.broadcast_to(luck < 0.3, one)
        return top, np.broadcast_to((luck < 0.2) | (luck > 0.4), many), -0.5
    # Needles of different difficulty, and draws of different harm, also needle by needle.
    needle = rng.normal(0, 1.5, (n_cases, 1, n_needles, 1))
    draw = rng.normal(0, 1, (n_cases, n_draws, 1, 1))
    both = rng.normal(0, 0.7, (n_cases, n_draws, n_needles, 1))
    top, rest = logistic(needle - 1), logistic(needle + 1 + draw + both)
    luck = np.random.default_rng(0).normal(0, 1, (2, 1_000_000))
    spread = np.sqrt(1 + 0.7**2) * luck[1]
    truth = (logistic(1.5 * luck[0] - 1) - logistic(1.5 * luck[0] + 1 + spread)).mean()
    return rng.random(one) < top, rng.random(many) < rest, float(truth)


def logistic(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("n_needles", NEEDLES)
@pytest.mark.parametrize(
    ("case", "n_draws"),
    [
        ("independent prompts", 1),
        ("independent prompts", 10),
        ("all or nothing", 1),
        ("all or nothing", 10),
        ("whole needles", 1),
        ("needles and draws vary", 5),
        ("needles and draws vary", 10),
    ],
)
def test_the_interval_of_a_difference_holds_the_truth(case, n_draws, n_needles, repeats, record):
    rng, n_cases = np.random.default_rng(n_needles), repeats(quick=300, full=4_000)
    top, rest, truth = paired(case, rng, n_cases, n_draws, n_needles)
    difference = top.astype(float) - rest
    gains, losses = (np.maximum(sign * difference, 0).mean(-1) for sign in (1, -1))
    low, high = difference_ends(gains, losses, n_draws * n_needles * N_PROMPTS, 0.95)
    hits = holds(low, high, truth)
    rate = record(
        Rate(f"difference_interval, {n_draws} draws", case, n_needles, hits, n_cases, "coverage")
    )
    assert rate.at_least(0.92)
