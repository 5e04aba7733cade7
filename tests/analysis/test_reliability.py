"""Bootstrap intervals, halves and needles compared, and plans, on scores of known variance."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from score_cases import grid_table, make_scores

from rh_lens.analysis import (
    CELL,
    bootstrap_scores,
    needle_agreement,
    plan_precision,
    plan_stability,
    split_half,
    variance_components,
)
from rh_lens.analysis.bootstrap import NESTING, resample_counts
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


def test_each_needle_is_drawn_with_its_own_lengths_and_depths():
    table = grid_table("abc", lengths=(1, 2, 3, 4), depths=(0.0, 0.5))
    counts = resample_counts(table, NESTING, 500, np.random.default_rng(0))
    assert (counts.sum(axis=1) == 24).all()
    # Variance of the number of trials of one needle: 8^2 times that of Binomial(3, 1/3).
    of_a = counts[:, table["needle"] == "a"].sum(axis=1)
    assert set(of_a % 8) == {0}
    assert of_a.mean() == pytest.approx(8, abs=1)
    assert (of_a / 8).var() == pytest.approx(2 / 3, abs=0.12)
    # A needle that was drawn once holds its four lengths four times in all.
    once = counts[of_a == 8][:, table["needle"] == "a"]
    assert (once.sum(axis=1) == 8).all()
    assert once.std() > 0


def test_trials_that_share_every_column_are_drawn_one_by_one():
    table = grid_table("ab", lengths=(1, 1), depths=(0.0,))
    counts = resample_counts(table, ["needle"], 200, np.random.default_rng(0))
    assert (counts.sum(axis=1) == 4).all()
    assert (counts % 2 == 1).any()


def test_an_interval_spans_what_needles_make_uncertain():
    # Needles a and b: 0 and 1 on every trial. A resample holds 0, 1 or 2 of b.
    table = grid_table("ab")
    values = torch.tensor((table["needle"] == "b").to_numpy()).double()[:, None, None]
    found = bootstrap_scores(make_scores(values), table, threshold=0.25)
    assert (found.low.item(), found.high.item()) == (0, 1)
    assert found.chosen.item() == pytest.approx(0.75, abs=0.05)
    assert (found.n_heads, found.n_needles) == (1, 2)
    assert found.n_heads_interval == (0, 1)
    # The same scores, without the needles as the outer level, look more certain.
    inner = bootstrap_scores(make_scores(values), table, nesting=["context_length"])
    assert inner.low.item() > 0


def test_equal_scores_have_no_width_and_unseen_heads_no_interval():
    values = torch.full((8, 1, 2), 0.3)
    values[:, 0, 1] = NAN
    found = bootstrap_scores(make_scores(values), grid_table(), n_resamples=50)
    assert found.low[0, 0].item() == pytest.approx(0.3)
    assert found.high[0, 0].item() == pytest.approx(0.3)
    assert found.low[0, 1].isnan()
    assert found.chosen[0, 1].isnan()
    row = found.to_dataframe().iloc[0]
    assert (row["label"], row["chosen"], row["n_trials"]) == ("L0H0", 1.0, 8)
    assert found.n_heads_interval == (1, 1)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    covered = []
    for seed in range(10):
        values, table = simulate(16, 4, needle=0.1, cell=0.1, seed=seed)
        found = bootstrap_scores(make_scores(values), table, n_resamples=300)
        truth = torch.linspace(0, 1, 40).double()
        covered.append(((found.low[0] <= truth) & (truth <= found.high[0])).double().mean())
    assert 0.88 < float(torch.stack(covered).mean()) < 0.97


def test_one_needle_says_nothing_about_others():
    scores = make_scores(torch.rand(4, 1, 2))
    table = grid_table("a")
    with pytest.raises(ValueError, match="Expected trials of two needle values or more; found 1"):
        bootstrap_scores(scores, table)
    bootstrap_scores(scores, table, nesting=CELL, n_resamples=5)
    with pytest.raises(ValueError, match=r"two units or more, by .*found 1"):
        split_half(scores, table)
    with pytest.raises(ValueError, match="two values or more in column 'needle'; found 1"):
        needle_agreement(scores, table)
    with pytest.raises(ValueError, match="found 1 needles in 4 trials"):
        variance_components(scores, table)
    with pytest.raises(ValueError, match=r"n_resamples to be .* from 1 to 1000000; found 0"):
        bootstrap_scores(scores, table, nesting=CELL, n_resamples=0)


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


def test_variance_components_by_hand():
    # Needle a: 0, 2; needle b: 4, 6. Mean squares: between 16, within 2; n0 = 2.
    table = grid_table("ab", lengths=(1, 2), depths=(0.0,))
    found = variance_components(make_scores(torch.tensor([0.0, 4, 2, 6])[:, None, None]), table)
    assert (found.mean.item(), found.needle.item(), found.cell.item()) == (3, 7, 2)
    assert found.variance(2, 2).item() == 7 / 2 + 2 / 4
    assert found.half_width(2, 2).item() == pytest.approx(12.706 * math.sqrt(4), abs=0.01)
    assert found.half_width(1, 2).item() == math.inf
    row = found.to_dataframe().iloc[0]
    assert (row["label"], row["needle_share"]) == ("L0H0", pytest.approx(7 / 9))


def test_variance_components_of_unequal_numbers_and_unseen_heads():
    # Needle a: 0, 2, 1; needle b: 5; needle c unseen. n0 = (4 - 10 / 4) / 1 = 1.5.
    table = grid_table("abc", lengths=(1, 2, 3), depths=(0.0,))
    column = torch.tensor([0, 5, NAN, 2, NAN, NAN, 1, NAN, NAN])
    values = torch.stack([column, torch.full((9,), NAN)], dim=1)[:, None]
    found = variance_components(make_scores(values), table)
    within = 2 / 2
    between = 3 * (1 - 2) ** 2 + (5 - 2) ** 2
    assert found.cell[0, 0].item() == pytest.approx(within)
    assert found.needle[0, 0].item() == pytest.approx((between - within) / 1.5)
    assert found.needle[0, 1].isnan()


def test_components_of_simulated_scores_are_those_they_were_made_with():
    values, table = simulate(60, 10, needle=0.2, cell=0.3, n_heads=200)
    found = variance_components(make_scores(values), table)
    assert found.needle.mean().item() == pytest.approx(0.04, rel=0.05)
    assert found.cell.mean().item() == pytest.approx(0.09, rel=0.02)


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
    assert plan.cheapest()["n_cells"] == 1
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
    found = bootstrap_scores(scores, table, n_resamples=30, seed=seed)
    seen = ~scores.mean().isnan()
    assert (found.low <= found.high)[seen].all()
    assert ((found.chosen >= 0) & (found.chosen <= 1))[seen].all()
    components = variance_components(scores, table)
    assert (components.needle[seen] >= 0).all()
    assert (components.variance(4, 2) <= components.variance(2, 2))[seen].all()
    assert 0 <= components.stability(3, 2) <= components.stability(30, 2) <= 1
