import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import double_rounding

from rh_lens.analysis import gini, measure_sparsity, threshold_sensitivity
from rh_lens.analysis.sparsity import THRESHOLDS, set_change
from rh_lens.detection import RetrievalScores, ScoreOrigin
from rh_lens.heads import Head

NAN = math.nan


def scored(*samples, source=None):
    values = torch.tensor(samples, dtype=torch.float64)
    return RetrievalScores(values, "position", tuple(range(len(values))), source)


def gini_by_pairs(values):
    """Half the mean absolute difference of all pairs over the mean."""
    total = sum(abs(a - b) for a in values for b in values)
    return total / (2 * len(values) * sum(values))


def test_heads_at_the_threshold_are_not_above_it_and_not_left_out():
    row = measure_sparsity(scored([[0.5, 0.1, 0.05], [0.0, 0.0, NAN]]))
    assert (row.n_heads, row.n_without) == (5, 1)
    assert (row.n_above, row.n_at_least, row.n_between, row.n_zero) == (1, 2, 2, 2)
    assert row.n_above + row.n_between + row.n_zero + row.n_negative == row.n_heads
    assert row.share(row.n_between) == 0.4


def test_negative_scores_are_counted_apart_and_have_no_gini():
    row = measure_sparsity(scored([[-0.5, 1.0, 0.0]]))
    assert (row.n_negative, row.n_zero, row.n_above) == (1, 1, 1)
    assert math.isnan(row.gini)
    assert math.isnan(row.top_mass)


def test_a_head_is_always_active_when_it_scores_on_every_sample():
    row = measure_sparsity(scored([[0.5, 0.5, NAN]], [[0.1, 0.0, 0.5]]))
    assert row.n_always_active == 1


def test_means_do_not_tell_which_heads_are_always_active():
    source = ScoreOrigin("means.json", "0" * 64, "head means", None)
    assert measure_sparsity(scored([[0.5, 0.0]], source=source)).n_always_active is None


def test_the_top_percent_is_rounded_up():
    row = measure_sparsity(scored([[0.5] + [0.0] * 99]))
    assert (row.n_top, row.top_mass) == (1, 1.0)
    row = measure_sparsity(scored([[0.3, 0.2] + [0.5 / 99] * 99]))
    assert row.n_top == 2
    assert row.top_mass == pytest.approx(0.5)


def test_equal_heads_have_gini_0_and_one_of_four_has_three_quarters():
    assert gini(torch.full((7,), 0.3)) == pytest.approx(0.0, abs=double_rounding(7))
    assert gini(torch.tensor([0.0, 0.0, 0.8, 0.0])) == 0.75
    assert gini(torch.tensor([1.0, 3.0])) == 0.25
    assert math.isnan(gini(torch.zeros(3)))
    assert math.isnan(gini(torch.tensor([NAN, 1.0])))


@settings(deadline=None)
@given(
    values=st.lists(st.floats(0, 2, allow_subnormal=False), min_size=1, max_size=30).filter(
        lambda values: sum(values) > 1e-100
    )
)
def test_gini_is_half_the_mean_difference_over_the_mean(values):
    found = gini(torch.tensor(values, dtype=torch.float64))
    allowed = double_rounding(len(values) ** 2)
    assert found == pytest.approx(gini_by_pairs(values), abs=allowed)


def test_a_row_says_counts_and_shares():
    table = measure_sparsity(scored([[0.5, 0.1, 0.05, 0.0]])).to_dataframe()
    assert len(table) == 1
    row = table.iloc[0]
    assert row[["n_heads", "n_above", "n_at_least", "n_zero"]].tolist() == [4, 1, 2, 1]
    shares = row[["share_above", "share_at_least", "share_between", "share_zero"]].tolist()
    assert shares == [0.25, 0.5, 0.5, 0.25]


def test_heads_without_scores_are_refused():
    with pytest.raises(ValueError, match="Expected a head with a score; found none among 2"):
        measure_sparsity(scored([[NAN, NAN]]))


def test_the_set_at_every_threshold_is_compared_with_that_at_a_tenth():
    scores = scored([[0.5, 0.1, 0.06], [0.3, 0.0, NAN]])
    table = threshold_sensitivity(scores, (0.3, 0.05, 0.1, 0.6)).to_dataframe()
    assert table["threshold"].tolist() == [0.05, 0.1, 0.3, 0.6]
    assert table["n"].tolist() == [4, 3, 2, 0]
    assert table["share"].tolist() == [0.8, 0.6, 0.4, 0.0]
    assert table["jaccard"].tolist() == [3 / 4, 1.0, 2 / 3, 0.0]
    assert table["enter"].tolist() == ["L0H2", "", "", ""]
    assert table["leave"].tolist() == ["", "", "L0H1", "L0H0 L1H0 L0H1"]


def test_thresholds_run_from_a_twentieth_to_a_half():
    assert tuple(round(0.05 * step, 2) for step in range(1, 11)) == THRESHOLDS
    assert threshold_sensitivity(scored([[0.2]])).thresholds == THRESHOLDS


def test_no_threshold_is_refused():
    with pytest.raises(ValueError, match="Expected thresholds to have 1 or more entries; found 0"):
        threshold_sensitivity(scored([[0.2]]), ())


def test_two_empty_sets_are_equal():
    assert set_change([], []) == {"jaccard": 1.0, "enter": "", "leave": ""}
    assert set_change([Head(0, 0)], [])["jaccard"] == 0.0


@settings(deadline=None)
@given(seed=st.integers(0, 10_000))
def test_sets_shrink_and_changes_add_up(seed):
    values = np.random.default_rng(seed).beta(0.3, 2, (2, 3, 5))
    scores = RetrievalScores(torch.from_numpy(values), "position", (0, 1))
    found = threshold_sensitivity(scores, reference=0.2)
    for larger, smaller in zip(found.sets, found.sets[1:], strict=False):
        assert set(smaller) <= set(larger)
    for row in found.to_dataframe().itertuples():
        n_new = len(row.enter.split()) - len(row.leave.split())
        assert row.n == len(found.reference_set) + n_new
