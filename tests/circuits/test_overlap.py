"""How alike kinds of heads are: hand-computed cases, chance and intervals."""

import pytest
import torch

from rh_lens.circuits import HeadScores, compare_kinds


def kind(rows, name="a", units=None):
    """Scores of a model of 2 layers of 3 heads; one row an example."""
    values = torch.tensor(rows, dtype=torch.float64).reshape(len(rows), 2, 3)
    return HeadScores(values, name, units or tuple(f"needle {i}" for i in range(len(rows))))


def values(overlap):
    return overlap.table.set_index("statistic")["value"]


def test_jaccard_and_correlations_by_hand() -> None:
    a, b = kind([[6, 5, 4, 3, 2, 1]]), kind([[6, 5, 1, 2, 3, 4]])
    found = values(compare_kinds({"a": a, "b": b}, k=3))
    # Top three L0H0, L0H1, L0H2 against L0H0, L0H1, L1H2: two of four heads.
    assert found["jaccard"] == 0.5
    # Ranks differ by 3, 1, -1, -3: 1 - 6 * 20 / (6 * 35).
    assert found["spearman"] == pytest.approx(1 - 6 * 20 / 210, abs=1e-12)


def test_rank_biased_overlap_by_hand() -> None:
    a, b = kind([[6, 5, 4, 3, 2, 1]]), kind([[5, 6, 4, 3, 2, 1]])
    # Agreement is 0 at depth 1 and 1 from there on: all weight but (1 - p) p^0.
    found = values(compare_kinds({"a": a, "b": b}, k=1, p=0.5))
    assert found["rbo"] == pytest.approx(0.5, abs=1e-12)
    assert found["jaccard"] == 0.0


def test_heads_that_score_zero_or_less_are_in_no_top_set() -> None:
    a, b = kind([[1, 0, 0, 0, 0, 0]]), kind([[1, -1, -2, -3, -4, -5]])
    assert values(compare_kinds({"a": a, "b": b}, k=3))["jaccard"] == 1.0


def test_one_unit_gives_no_interval_and_equal_units_are_drawn_together() -> None:
    rows = [[6, 5, 4, 3, 2, 1], [1, 2, 3, 4, 5, 6], [1, 5, 3, 2, 4, 6], [3, 2, 6, 5, 1, 4]]
    alone = compare_kinds({"a": kind(rows[:1]), "b": kind(rows[:1])}, k=2)
    assert alone.table["low"].isna().all()
    same = compare_kinds({"a": kind(rows), "b": kind(rows)}, k=2, n_resamples=20)
    table = same.table.set_index("statistic")
    assert table.loc["spearman", ["low", "high"]].tolist() == pytest.approx([1.0, 1.0])
    units = tuple(f"sequence {i}" for i in range(4))
    apart = compare_kinds({"a": kind(rows), "b": kind(rows, units=units)}, k=2, n_resamples=20)
    assert apart.table.set_index("statistic").loc["spearman", "low"] < 1.0


def test_examples_of_one_unit_count_once() -> None:
    units = ("one", "one", "two")
    scores = kind([[1, 0, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0], [8, 0, 0, 0, 0, 0]], units=units)
    assert scores.unit_means().units == ("one", "two")
    assert scores.unit_means().values[:, 0, 0].tolist() == [2.0, 8.0]
    assert float(scores.mean()[0, 0]) == 4.0
    assert scores.as_retrieval_scores().values.shape[0] == 2


def test_chance_of_strangers_is_covered_and_the_matrix_is_square() -> None:
    generator = torch.Generator().manual_seed(0)
    strangers = {
        name: HeadScores(
            torch.rand(5, 8, 8, generator=generator, dtype=torch.float64),
            name,
            tuple(f"{name} {i}" for i in range(5)),
        )
        for name in ("x", "y", "z")
    }
    overlap = compare_kinds(strangers, n_resamples=20)
    table = overlap.table
    assert overlap.k == 4
    assert (
        (table["value"] >= table["null_low"]) & (table["value"] <= table["null_high"])
    ).mean() > 0.8
    square = overlap.matrix("spearman")
    assert square.loc["x", "x"] == 1.0
    assert square.loc["x", "z"] == square.loc["z", "x"]


def test_bad_inputs_are_refused() -> None:
    one = kind([[6, 5, 4, 3, 2, 1]])
    with pytest.raises(ValueError, match="Expected scores of two kinds or more, of models"):
        compare_kinds({"a": one})
    other = HeadScores(torch.ones(1, 3, 2, dtype=torch.float64), "b", ("n",))
    with pytest.raises(ValueError, match=r"found 2 of the shapes \[\(2, 3\), \(3, 2\)\]"):
        compare_kinds({"a": one, "b": other})
    with pytest.raises(ValueError, match="a unit for each example; found"):
        HeadScores(torch.ones(2, 3, 2, dtype=torch.float64), "b", ("n",))
