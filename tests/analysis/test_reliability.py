"""Intervals, halves and needles compared, and plans, on scores of known variance."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from score_cases import grid_table, make_scores

from rh_lens.analysis import (
    CELL,
    needle_agreement,
    plan_precision,
    plan_stability,
    score_intervals,
    split_half,
    variance_components,
)
from rh_lens.analysis.crossed import crossed_moments
from rh_lens.detection import RetrievalScores
from rh_lens.heads import Head

NAN = float("nan")
NEEDLES = tuple("abcdef")


def simulate(
    n_needles: int, n_cells: int, *, needle: float, cell: float, n_heads: int = 40, seed: int = 0
) -> tuple[torch.Tensor, pd.DataFrame]:
    """Scores mean + needle effect + noise, of heads with means 0 to 1, and their table."""
    rng = np.random.default_rng(seed)
    table = grid_table(range(n_needles), lengths=range(1, n_cells + 1), depths=(0.5,))
    mean = np.linspace(0, 1, n_heads)
    effect = rng.normal(0, needle, (n_needles, n_heads))
    noise = rng.normal(0, cell, (len(table), n_heads))
    values = mean + effect[table["needle"]] + noise
    return torch.from_numpy(values)[:, None, :], table


def grid_scores(rows: list[list[float]]) -> tuple[RetrievalScores, pd.DataFrame]:
    """Scores of one head, [needle][cell]."""
    values = torch.tensor(rows, dtype=torch.float64)
    table = grid_table(range(len(rows)), lengths=range(1, values.shape[1] + 1), depths=(0.5,))
    return make_scores(values.T.reshape(-1, 1, 1)), table


def test_the_error_of_a_mean_by_hand():
    # Mean squares: needles 0.16 / 2, cells 0, trials 0.04 / 2.
    scores, table = grid_scores([[0.2, 0.4], [0.8, 0.6], [0.5, 0.5]])
    found = crossed_moments(scores, table)
    assert found.mean.item() == pytest.approx(0.5)
    parts = (found.needle.item(), found.cell.item(), found.trial.item())
    assert parts == pytest.approx(((0.08 - 0.02) / 2, (0 - 0.02) / 3, 0.02))
    variance, df = found.error()
    assert variance.item() == pytest.approx((0.08 + 0 - 0.02) / 6)
    assert df.item() == pytest.approx(0.06**2 / (0.08**2 / 2 + 0.02**2 / 2))


def test_rounding_does_not_decide_how_sure_an_interval_is():
    # One odd trial: mean squares of needles, cells and trials are equal.
    for odd in (0.8, 0.7, 0.1 + 0.2):
        scores, table = grid_scores([[1.0] * 10] * 11 + [[1.0] * 9 + [odd]])
        found = crossed_moments(scores, table)
        assert (found.needle.item(), found.cell.item()) == (0, 0)
        assert found.error()[1].item() < 3  # of 119, were the trials pooled


def test_gaps_in_the_grid_leave_the_components_unbiased():
    # Henderson's method 1 on half of a grid of 12 x 10, 300 heads.
    rng = np.random.default_rng(0)
    values, table = simulate(12, 10, needle=0.2, cell=0.3, n_heads=2000)
    values[torch.from_numpy(rng.random(values.shape) < 0.5)] = NAN
    found = crossed_moments(make_scores(values), table)
    assert found.needle.mean().item() == pytest.approx(0.04, rel=0.06)
    assert found.cell.mean().item() == pytest.approx(0, abs=0.002)
    assert found.trial.mean().item() == pytest.approx(0.09, rel=0.02)


def test_an_interval_is_wilsons_where_each_needle_is_all_or_nothing():
    # 3 of 6 needles score 1 in all cells: V = 0.3 / 6, and t with 5 degrees of freedom.
    scores, table = grid_scores([[1.0] * 4] * 3 + [[0.0] * 4] * 3)
    found = score_intervals(scores, table, threshold=0.5)
    k = 2.5706**2 * (0.3 / 6) / 0.25
    half = math.sqrt(k / (1 + k)) / 2
    assert (found.low.item(), found.high.item()) == pytest.approx((0.5 - half, 0.5 + half), 1e-4)
    assert found.confidence.item() == pytest.approx(0.5)
    assert (found.n_heads, found.n_heads_interval, found.n_needles) == (1, (0, 1), 6)


def test_a_head_without_spread_is_as_uncertain_as_the_most_uncertain_one():
    scores, table = grid_scores([[0.0] * 3] * 12)
    # Alone: as if each needle were all or nothing. z^2 / (12 + z^2).
    alone = score_intervals(scores, table)
    assert (alone.low.item(), alone.high.item()) == (0, pytest.approx(0.2425, abs=1e-4))
    assert alone.n_heads_interval == (0, 1)
    other, _ = grid_scores([[0.9 + 0.005 * i] * 3 for i in range(12)])
    both = make_scores(torch.cat([scores.values, other.values], dim=2))
    found = score_intervals(both, table)
    mean, spread = 0.9275, 0.005**2 * 13
    ratio = 1.96**2 * spread / (mean * (1 - mean)) / 12
    assert found.high[0, 0].item() == pytest.approx(ratio / (1 + ratio), rel=1e-3)
    assert found.n_heads_interval == (1, 1)


def test_unseen_heads_have_no_interval_and_are_counted():
    values = torch.rand(24, 1, 3, generator=torch.Generator().manual_seed(0)).double()
    values[:, 0, 1] = NAN
    values[4:, 0, 2] = NAN  # sees needles a to d only, once each
    table = grid_table(NEEDLES)
    found = score_intervals(make_scores(values), table)
    assert found.low.isnan().tolist() == [[False, True, False]]
    assert (found.n_undecided, found.n_needles) == (1, 6)
    assert found.confidence[0, 1].isnan()
    row = found.to_dataframe().iloc[0]
    assert 0 <= row["low"] <= row["score"] <= row["high"] <= 1
    # Single trials of four needles: the standard error is theirs, in one way as in the other.
    variance, df = crossed_moments(make_scores(values), table).error()
    assert variance[0, 2].item() == pytest.approx(values[:4, 0, 2].var().item() / 4)
    assert df[0, 2].item() <= 3


def test_scores_above_one_and_below_zero_have_intervals_of_their_own_shape():
    counts = score_intervals(*grid_scores([[0.0, 0.5], [1.5, 1.0], [3.0, 2.5], [0.5, 0.0]]))
    assert 0 < counts.low.item() < 1.125 < 2 < counts.high.item()
    real = score_intervals(*grid_scores([[-1.0, 0.0], [1.0, 0.5], [0.5, 0.0]]))
    mean = 1 / 6
    assert real.high.item() - mean == pytest.approx(mean - real.low.item())


def test_the_interval_of_one_cell_is_that_of_needle_means():
    rng = np.random.default_rng(1)
    needles = 0.5 + 0.1 * rng.normal(size=9)
    scores, table = grid_scores([[x] for x in needles])
    variance, df = crossed_moments(scores, table).error()
    assert variance.item() == pytest.approx(needles.var(ddof=1) / 9)
    assert 5 < df.item() <= 8


def test_one_needle_says_nothing_about_others():
    scores = make_scores(torch.rand(4, 1, 2))
    table = grid_table("a")
    with pytest.raises(ValueError, match="Expected trials of two needles or more; found 1"):
        score_intervals(scores, table)
    with pytest.raises(ValueError, match=r"two units or more, by .*found 1"):
        split_half(scores, table)
    with pytest.raises(ValueError, match="two values or more in column 'needle'; found 1"):
        needle_agreement(scores, table)
    with pytest.raises(ValueError, match="found 1 needles in 4 trials"):
        variance_components(scores, table)
    for options in ({"level": 1.0}, {"level": NAN}, {"threshold": NAN}, {"threshold": 0.0}):
        with pytest.raises(ValueError, match="to be a number above 0"):
            score_intervals(make_scores(torch.rand(8, 1, 2)), grid_table(), **options)


def test_halves_by_needle_disagree_where_halves_by_cell_agree():
    values, table = simulate(6, 8, needle=0.4, cell=0.02)
    scores = make_scores(values)
    by_needle, by_cell = split_half(scores, table), split_half(scores, table, by=CELL)
    # True variance 0.087; error of a half: 0.16 / 3 by needle.
    assert by_needle.pearson == pytest.approx(0.087 / (0.087 + 0.16 / 3), abs=0.12)
    assert by_cell.pearson > 0.99
    assert (by_needle.n_units, by_cell.n_units) == (6, 8)
    assert by_needle.all_splits
    assert len(by_needle.table) == 10  # of six needles: half of 6 choose 3
    assert by_needle.spearman_brown == 2 * by_needle.pearson / (1 + by_needle.pearson)
    assert by_needle.summary()["statistic"].tolist() == ["pearson", "spearman", "jaccard", "rbo"]


def test_all_splits_of_a_few_units_and_random_ones_of_many():
    scores = make_scores(torch.rand(28, 1, 5, generator=torch.Generator().manual_seed(0)))
    table = grid_table(range(7))
    few = split_half(scores, table, n_splits=35)
    assert (len(few.table), few.all_splits) == (35, True)  # 7 choose 3
    many = split_half(scores, table, n_splits=34)
    assert (len(many.table), many.all_splits) == (34, False)
    assert many.to_dataframe().equals(split_half(scores, table, n_splits=34).to_dataframe())


def test_needles_are_compared_in_pairs():
    # Needles a and b favour head 0, needle c favours head 2.
    table = grid_table("abc", lengths=(1,), depths=(0.0,))
    values = torch.tensor([[1.0, 0.2, 0.0], [0.5, 0.1, 0.0], [0.0, 0.2, 1.0]])[:, None]
    found = needle_agreement(make_scores(values), table, k=1)
    matrix = found.matrix()
    assert matrix.loc["a", "b"] == pytest.approx(1)
    assert matrix.loc["c", "a"] == matrix.loc["a", "c"] < 0
    assert found.matrix("jaccard").to_numpy().tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    summary = found.summary().set_index("statistic")
    assert summary.loc["jaccard", "mean"] == pytest.approx(1 / 3)
    assert (found.needles, found.n_trials) == (("a", "b", "c"), (1, 1, 1))
    assert found.to_dataframe()[["a", "b"]].to_numpy().tolist() == [
        ["a", "b"], ["a", "c"], ["b", "c"],
    ]  # fmt: skip


def test_halves_and_needles_without_a_value_are_counted_not_left_out():
    # Needle a never sees head 0, and scores all others alike.
    table = grid_table("abc", lengths=(1,), depths=(0.0,))
    rows = [[NAN, 0.0, 0.0, 0.0], [0.5, 0.1, 0.0, 0.2], [1.0, 0.2, 0.0, 0.1]]
    scores = make_scores(torch.tensor(rows)[:, None])
    pairs = needle_agreement(scores, table, k=1)
    assert pairs.table["n_heads"].tolist() == [3, 3, 4]
    assert pairs.summary().set_index("statistic").loc["pearson", "n"] == 1
    halves = split_half(scores, table, k=1)
    assert sorted(halves.table["n_heads"].tolist()) == [3, 4, 4]
    assert math.isnan(halves.pearson)
    assert halves.summary().set_index("statistic").loc["pearson", "n"] == 2


def crossed_run(n_needles: int, n_cells: int, seed: int) -> tuple[RetrievalScores, pd.DataFrame]:
    """Scores of 300 heads around 0.5 with effects of needles and of cells, 0.05, and noise, 0.1."""
    rng = np.random.default_rng(seed)
    values = 0.5 + rng.normal(0, 0.1, (n_cells, n_needles, 300))
    values += rng.normal(0, 0.05, (1, n_needles, 300)) + rng.normal(0, 0.05, (n_cells, 1, 300))
    table = grid_table(range(n_needles), lengths=range(n_cells), depths=(0.5,))
    return make_scores(torch.from_numpy(values).reshape(-1, 1, 300)), table


def test_the_half_width_foretold_is_that_of_the_intervals():
    foretold = variance_components(*crossed_run(60, 40, seed=0))
    assert foretold.cell.mean().item() == pytest.approx(0.0025, rel=0.1)
    for n_needles, n_cells in ((6, 6), (12, 8), (8, 20)):
        found = score_intervals(*crossed_run(n_needles, n_cells, seed=1))
        width = ((found.high - found.low) / 2).mean().item()
        assert foretold.half_width(n_needles, n_cells).mean().item() == pytest.approx(
            width, rel=0.1
        )


def test_variance_components_by_hand():
    # Needle a: 0, 2; needle b: 4, 6. Mean squares: needles 16, cells 4, trials 0.
    table = grid_table("ab", lengths=(1, 2), depths=(0.0,))
    found = variance_components(make_scores(torch.tensor([0.0, 4, 2, 6])[:, None, None]), table)
    parts = (found.mean, found.needle, found.cell, found.trial)
    assert [part.item() for part in parts] == pytest.approx([3, 8, 2, 0])
    assert found.variance(2, 2).item() == pytest.approx(8 / 2 + 2 / 2)
    # Satterthwaite: (16 + 4)^2 / (16^2 + 4^2) = 1.4706 degrees of freedom.
    quantile = float(stats.t.ppf(0.975, 400 / 272))
    assert found.half_width(2, 2).item() == pytest.approx(quantile * math.sqrt(5))
    assert found.half_width(1, 2).item() == math.inf
    assert found.half_width(2, 1).item() == math.inf  # one cell says nothing about others
    row = found.to_dataframe().iloc[0]
    assert (row["label"], row["needle_share"]) == ("L0H0", pytest.approx(0.8))


def test_variance_components_of_unequal_numbers_and_unseen_heads():
    # One cell each: needle a: 0, 2, 1; needle b: 5; needle c unseen. n0 = (4 - 10 / 4) / 1 = 1.5.
    table = grid_table("abc", lengths=(1,), depths=(0.0,))
    table = pd.concat([table] * 3, ignore_index=True).assign(trial=range(9))
    column = torch.tensor([0, 5, NAN, 2, NAN, NAN, 1, NAN, NAN])
    values = torch.stack([column, torch.full((9,), NAN)], dim=1)[:, None]
    found = variance_components(make_scores(values), table)
    within = 2 / 2
    between = 3 * (1 - 2) ** 2 + (5 - 2) ** 2
    assert found.trial[0, 0].item() == pytest.approx(within)
    assert found.needle[0, 0].item() == pytest.approx((between - within) / 1.5)
    assert found.cell[0, 0].item() == 0
    assert found.needle[0, 1].isnan()


def test_components_of_simulated_scores_are_those_they_were_made_with():
    values, table = simulate(60, 10, needle=0.2, cell=0.3, n_heads=200)
    found = variance_components(make_scores(values), table)
    assert found.needle.mean().item() == pytest.approx(0.04, rel=0.05)
    assert found.trial.mean().item() == pytest.approx(0.09, rel=0.02)


def test_the_variance_and_the_stability_foretold_are_those_of_new_runs():
    pilot, table = simulate(40, 6, needle=0.3, cell=0.4, n_heads=300, seed=1)
    found = variance_components(make_scores(pilot), table)
    runs = [
        simulate(5, 3, needle=0.3, cell=0.4, n_heads=300, seed=s)[0].mean(dim=(0, 1))
        for s in range(10, 30)
    ]
    spread = torch.stack(runs).var(dim=0).mean().item()
    assert found.variance(5, 3).mean().item() == pytest.approx(spread, rel=0.06)
    correlations = np.corrcoef(torch.stack(runs).numpy())[np.triu_indices(20, k=1)]
    assert found.stability(5, 3) == pytest.approx(correlations.mean(), abs=0.03)


def test_a_plan_names_the_fewest_needles_that_are_enough():
    values, table = simulate(40, 6, needle=0.1, cell=0.2)
    components = variance_components(make_scores(values), table)
    plan = plan_precision(components, 0.05, n_cells=(1, 4, 16))
    for _, row in plan.to_dataframe().iterrows():
        needles, cells = int(row["n_needles"]), int(row["n_cells"])
        assert components.half_width(needles, cells).max() <= 0.05
        assert components.half_width(needles - 1, cells).max() > 0.05
        assert row["n_trials"] == needles * cells
    assert plan.table["n_needles"].is_monotonic_decreasing
    # Some of the 40 heads seem to differ between cells: one cell says nothing about others.
    assert plan.table["n_cells"].tolist() == [16]
    assert "95 % intervals of at most +-0.05" in plan.wanted


def test_a_plan_for_one_head_asks_for_its_own_precision():
    values, table = simulate(20, 4, needle=0.1, cell=0.1, n_heads=3)
    values[:, 0, 1] = 0.5
    components = variance_components(make_scores(values), table)
    plan = plan_precision(components, 0.01, heads=[Head(0, 1)], n_cells=(1,))
    assert plan.table["n_needles"].tolist() == [2]
    with pytest.raises(ValueError, match="Expected heads with variance components"):
        plan_precision(components, 0.01, heads=[])


def test_a_plan_for_stable_ranks():
    values, table = simulate(20, 5, needle=0.2, cell=0.2)
    components = variance_components(make_scores(values), table)
    plan = plan_stability(components, 0.95, n_cells=(1, 10))
    for _, row in plan.table.iterrows():
        needles, cells = int(row["n_needles"]), int(row["n_cells"])
        assert row["reached"] == components.stability(needles, cells) >= 0.95
        assert needles == 2 or components.stability(needles - 1, cells) < 0.95


def test_what_no_size_reaches_is_said():
    values = torch.tensor([0.0, 1, 1, 0])[:, None, None].expand(4, 1, 2)
    components = variance_components(make_scores(values), grid_table("ab", depths=(0.0,)))
    plan = plan_stability(components, 0.9)
    assert plan.table.empty
    with pytest.raises(ValueError, match=r"a correlation of at least 0\.9 between two runs; found"):
        plan.cheapest()
    with pytest.raises(ValueError, match="Expected half_width to be a number above 0; found 0"):
        plan_precision(components, 0.0)
    with pytest.raises(ValueError, match="above 0 and below 1; found 1"):
        plan_stability(components, 1.0)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_invariants(seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(24, 2, 3, generator=generator)
    values[torch.rand(24, 2, 3, generator=generator) < 0.1] = NAN
    scores, table = make_scores(values), grid_table(NEEDLES)
    found = score_intervals(scores, table)
    seen = ~scores.mean().isnan()
    assert (found.low <= found.high)[seen].all()
    assert ((found.confidence >= 0) & (found.confidence <= 1))[seen].all()
    assert ((found.low <= scores.mean() + 1e-12) & (scores.mean() <= found.high + 1e-12)).all()
    components = variance_components(scores, table)
    assert (components.needle[seen] >= 0).all()
    assert (components.variance(4, 2) <= components.variance(2, 2))[seen].all()
    assert 0 <= components.stability(3, 2) <= components.stability(30, 2) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_halves_do_not_depend_on_the_order_of_a_needles_trials(seed):
    """Tenths in another order for each head: rounded sums would differ, and then their ranks."""
    rng = np.random.default_rng(seed)
    table = grid_table(range(4), lengths=range(1, 6), depths=(0.5,)).sort_values("needle")
    counts = rng.integers(0, 4, (20, 1, 30))
    mixed = counts.copy()
    for needle in range(4):
        own = slice(5 * needle, 5 * needle + 5)
        mixed[own] = rng.permuted(counts[own], axis=0)
    assert not np.array_equal(mixed, counts)
    trials = tuple(table["trial"])
    found, expected = (
        split_half(RetrievalScores(torch.from_numpy(n / 10), "position", trials), table, k=5)
        for n in (mixed, counts)
    )
    pd.testing.assert_frame_equal(found.table, expected.table, check_exact=True)
