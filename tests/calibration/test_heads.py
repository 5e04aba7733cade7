"""Tests of heads against heads that could have been drawn: level under nulls, and power."""

import numpy as np
import pytest
from simulate import Rate
from simulated_answers import NULLS, exchangeable_answers, random_rankings

from rh_lens.evaluation import (
    permutation_pvalue,
    sequential_pvalue,
    step_down_pvalues,
    stop_after,
)

LEVEL = 0.05
# What each head of eight takes away when it is silenced: one matters much, two a little.
DAMAGE = np.array([0.6, 0.1, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0])


def rejections(pvalues):
    return int((np.asarray(pvalues) <= LEVEL + 1e-12).sum())


@pytest.mark.parametrize("n_draws", [19, 39])
@pytest.mark.parametrize("null", NULLS)
def test_a_set_like_all_others_is_rarely_called_harmful(null, n_draws, repeats, record):
    rng, n_cases = np.random.default_rng(n_draws), repeats(quick=400, full=10_000)
    answers = exchangeable_answers(
        null, rng, n_cases=n_cases, n_sets=n_draws + 1, n_needles=12
    ).mean((-2, -1))
    hits = rejections([permutation_pvalue(float(one[0]), one[1:]) for one in answers])
    rate = record(Rate(f"permutation, {n_draws} draws", null, 12, hits, n_cases, "level"))
    assert rate.at_most(LEVEL)


@pytest.mark.parametrize("n_draws", [19, 99])
@pytest.mark.parametrize("null", NULLS[:3])
def test_draws_that_stop_early_keep_the_level(null, n_draws, repeats, record):
    rng, n_cases = np.random.default_rng(n_draws), repeats(quick=400, full=10_000)
    h, hits, made = stop_after(n_draws, LEVEL), 0, 0
    for start in range(0, n_cases, 500):
        n = min(500, n_cases - start)
        answers = exchangeable_answers(null, rng, n_cases=n, n_sets=n_draws + 1, n_needles=12)
        for one in answers.mean((-2, -1)):
            p = sequential_pvalue(float(one[0]), one[1:], n_as_harmful=h)
            hits += p <= LEVEL + 1e-12
            made += np.minimum(n_draws, h / p if p > LEVEL else n_draws)
    rate = record(Rate(f"sequential, {n_draws} draws", null, 12, hits, n_cases, "level"))
    assert rate.at_most(LEVEL)
    # The hopeless cases, 19 of 20, need a fraction of the draws.
    assert made / n_cases < 0.45 * n_draws


def curves(rng, n_cases, n_rankings, ks):
    """Recall of each ranking's first K heads on 12 needles that fail whole."""
    order = random_rankings(rng, n_cases, n_rankings, len(DAMAGE))
    lost = np.cumsum(DAMAGE[order], axis=-1)[..., [k - 1 for k in ks]]
    luck = rng.random((n_cases, n_rankings, 12))
    return (luck[..., None] > np.minimum(lost, 1)[:, :, None]).mean(2)


def test_over_several_numbers_of_heads_any_false_alarm_is_rare(repeats, record):
    rng, n_cases, ks = np.random.default_rng(5), repeats(quick=400, full=10_000), (1, 2, 3, 4)
    smallest, area = [], []
    for one in curves(rng, n_cases, 20, ks):
        smallest.append(step_down_pvalues(one[0], one[1:]).min())
        area.append(permutation_pvalue(float(one[0].mean()), one[1:].mean(1)))
    case = "random rankings of eight heads"
    rates = [
        Rate("step-down over 4 Ks, any", case, 12, rejections(smallest), n_cases, "level"),
        Rate("whole curve", case, 12, rejections(area), n_cases, "level"),
    ]
    for rate in rates:
        assert record(rate).at_most(LEVEL)


@pytest.mark.parametrize("null", NULLS)
def test_over_several_numbers_of_heads_every_null_is_kept(null, repeats, record):
    rng, n_cases = np.random.default_rng(8), repeats(quick=200, full=5_000)
    by_k = [
        exchangeable_answers(null, rng, n_cases=n_cases, n_sets=20, n_needles=12).mean((-2, -1))
        for _ in range(3)
    ]
    every = np.stack(by_k, axis=-1)
    smallest = [step_down_pvalues(one[0], one[1:]).min() for one in every]
    area = [permutation_pvalue(float(one[0].mean()), one[1:].mean(1)) for one in every]
    for method, found in (("step-down over 3 Ks, any", smallest), ("whole curve", area)):
        rate = record(Rate(method, null, 12, rejections(found), n_cases, "level"))
        assert rate.at_most(LEVEL)


def test_a_harmful_pair_does_not_make_other_numbers_of_heads_significant(repeats, record):
    # At K = 1 all heads are alike; from K = 2 on the top ranking has the harmful pair.
    rng, n_cases = np.random.default_rng(6), repeats(quick=400, full=10_000)
    first = rng.binomial(12, 0.9, (n_cases, 20, 1)) / 12
    second = rng.binomial(12, 0.9, (n_cases, 20, 1)) / 12
    second[:, 0] = 0.0
    every = np.concatenate([first, second], axis=-1)
    found = np.array([step_down_pvalues(one[0], one[1:]) for one in every])
    false = record(
        Rate("step-down", "true at K = 2 only", 12, rejections(found[:, 0]), n_cases, "level")
    )
    power = record(
        Rate("step-down", "true at K = 2 only", 12, rejections(found[:, 1]), n_cases, "power")
    )
    assert false.at_most(LEVEL)
    assert power.at_least(0.95)


@pytest.mark.parametrize("n_draws", [19, 99])
def test_a_planted_set_is_found(n_draws, repeats, record):
    rng, n_cases = np.random.default_rng(7), repeats(quick=200, full=2_000)
    answers = exchangeable_answers(
        "whole needles", rng, n_cases=n_cases, n_sets=n_draws + 1, n_needles=12
    ).copy()
    answers[:, 0] *= rng.random((n_cases, 12, 1)) < 0.3
    means = answers.mean((-2, -1))
    hits = rejections([permutation_pvalue(float(one[0]), one[1:]) for one in means])
    rate = record(Rate(f"permutation, {n_draws} draws", "recall 0.21", 12, hits, n_cases, "power"))
    assert rate.at_least(0.8)
