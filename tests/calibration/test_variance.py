"""Confidence intervals from variance components."""

import numpy as np
import pytest
import torch
from score_cases import make_scores
from simulate import Rate, Spread, crossed_table, normal_scores

from rh_lens.analysis import variance_components

SPREADS = {
    "needles carry it": Spread(needle=0.2, trial=0.05),
    "cells carry it": Spread(cell=0.2, trial=0.05),
    "all three": Spread(needle=0.2, cell=0.2, trial=0.2),
}


@pytest.mark.parametrize("n_needles", [3, 6, 12, 30])
@pytest.mark.parametrize("case", SPREADS)
def test_the_interval_of_a_mean_holds_the_truth(case, n_needles, repeats, record):
    rng = np.random.default_rng(n_needles)
    table, spread = crossed_table(n_needles, 10), SPREADS[case]
    n_runs, hits, n = repeats(quick=4, full=100), 0, 0
    for _ in range(n_runs):
        values = normal_scores(rng, n_needles, 10, spread, mean=0.5)
        found = variance_components(make_scores(torch.from_numpy(values)), table)
        inside = (found.mean - 0.5).abs() <= found.half_width(n_needles, 10)
        hits, n = hits + int(inside.sum()), n + inside.numel()
    rate = record(Rate("half_width", case, n_needles, hits, n, "coverage"))
    assert rate.within(0.93, 0.97)
