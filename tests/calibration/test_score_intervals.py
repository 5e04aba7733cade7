"""Confidence intervals of head scores: how often they hold the truth."""

import numpy as np
import pytest
import torch
from score_cases import make_scores
from simulate import (
    Rate,
    Spread,
    crossed_table,
    dependent_heads,
    normal_scores,
    skewed_scores,
)

from rh_lens.analysis import score_intervals

NORMAL = {
    "needles carry it": Spread(needle=0.1, trial=0.03),
    "cells carry it": Spread(cell=0.1, trial=0.03),
    "trials carry it": Spread(trial=0.1),
    "all three": Spread(needle=0.1, cell=0.1, trial=0.1),
    "needles and trials": Spread(needle=0.05, cell=0.02, trial=0.15),
}
BETA = ["beta 0.1 0.2", "beta 0.5 0.3", "beta 0.9 0.1", "beta 0.02 0.1"]
ZEROS = ["zeros 0.5 0.5", "zeros 0.3 0.3", "zeros 0.1 0.3"]
BUNDLED = ["bundled L1H6", "bundled L2H0", "bundled L2H3", "bundled L2H5"]
# Where the coverage is not 0.93 to 0.97, and what it is instead; `score_intervals` says so too.
MISSES = {
    ("trials carry it", 6): (0.965, 0.98),
    ("trials carry it", 12): (0.965, 0.98),
    ("trials carry it", 30): (0.965, 0.98),
    ("beta 0.02 0.1", 6): (0.97, 0.99),
    ("bundled L2H0", 6): (0.965, 0.98),
    ("bundled L2H0", 12): (0.965, 0.985),
}
FEW = (0.92, 1.0)


def simulate(rng, case, n_needles, n_heads=200):
    if case in NORMAL:
        values = normal_scores(rng, n_needles, 10, NORMAL[case], n_heads=n_heads)
        return values, 0.5
    return skewed_scores(rng, case, n_needles, 10, n_heads=n_heads)


@pytest.mark.parametrize("n_needles", [3, 6, 12, 30])
@pytest.mark.parametrize("case", [*NORMAL, *BETA, *ZEROS, *BUNDLED])
def test_an_interval_holds_the_truth_as_often_as_it_says(case, n_needles, repeats, record):
    rng = np.random.default_rng(n_needles)
    table = crossed_table(n_needles, 10)
    hits, n = 0, 0
    for _ in range(repeats(quick=1, full=20)):
        values, truth = simulate(rng, case, n_needles)
        found = score_intervals(make_scores(torch.from_numpy(values)), table)
        hits, n = hits + int(((found.low <= truth) & (truth <= found.high)).sum()), n + 200
    rate = record(Rate("score_intervals", case, n_needles, hits, n, "coverage"))
    usual = FEW if n_needles < 6 else (0.93, 0.97)
    assert rate.within(*MISSES.get((case, n_needles), usual))


@pytest.mark.parametrize("n_needles", [6, 12, 30])
@pytest.mark.parametrize("case", ["beta 0.1 0.1", "zeros 0.2 0.5", "beta 0.5 0.2"])
def test_few_heads_at_the_threshold_seem_surely_above_or_below(case, n_needles, repeats, record):
    rng = np.random.default_rng(n_needles)
    table = crossed_table(n_needles, 10)
    above, below, n = 0, 0, 0
    for _ in range(repeats(quick=1, full=20)):
        values, truth = skewed_scores(rng, case, n_needles, 10, n_heads=200)
        found = score_intervals(make_scores(torch.from_numpy(values)), table, threshold=truth)
        above, n = above + int((found.confidence >= 0.95).sum()), n + 200
        below += int((found.confidence <= 0.05).sum())
    for hits, side in ((above, "above"), (below, "below")):
        name = f"{case}, at the threshold, p {side}"
        rate = record(Rate("confidence", name, n_needles, hits, n, "level"))
        # Skewed scores: too few below, at 6 and 12 needles up to 0.065 of them.
        assert rate.at_most(0.05 if side == "above" else 0.065)


@pytest.mark.parametrize("n_needles", [6, 12, 30])
@pytest.mark.parametrize("case", ["few strong", "many just below", "many just above"])
def test_the_number_of_heads_is_held_at_least_as_often_as_it_says(case, n_needles, repeats, record):
    rng = np.random.default_rng(n_needles)
    means = {
        "few strong": [0.95] * 4 + [0.03] * 28,
        "many just below": [0.9] * 4 + [0.095] * 28,
        "many just above": [0.9] * 4 + [0.105] * 14 + [0.01] * 14,
    }[case]
    table, hits, n = crossed_table(n_needles, 10), 0, repeats(quick=15, full=500)
    for _ in range(n):
        scores = make_scores(torch.from_numpy(dependent_heads(rng, means, n_needles, 10)))
        low, high = score_intervals(scores, table).n_heads_interval
        hits += low <= sum(mean >= 0.1 for mean in means) <= high
    rate = record(Rate("n_heads_interval", case, n_needles, hits, n, "coverage"))
    assert rate.at_least(0.95)
