"""When heads get their scores."""

import math

import pandas as pd
import pytest
import torch

from rh_lens.analysis import Emergence, Moment, emergence_of
from rh_lens.heads import Head

NAN = math.nan


def moment(name, score, forced, induction, *, step=NAN, recall=0.0, accepted=0):
    as_table = [torch.tensor([row], dtype=torch.float64) for row in (score, forced, induction)]
    return Moment(name, float(step), 1e6 * step, *as_table, recall, recall / 2, 8, accepted)


@pytest.fixture
def emergence():
    """L0H0 begins as an induction head and becomes a retrieval head; L0H1 never does anything."""
    return Emergence(
        (
            moment("0", [NAN, NAN], [0.0, 0.0], [0.0, 0.01], step=0),
            moment("10", [NAN, NAN], [0.05, 0.0], [0.6, 0.02], step=10, recall=0.2),
            moment("20", [0.7, 0.0], [0.5, 0.0], [0.4, 0.03], step=20, recall=0.9, accepted=7),
            moment("30", [0.6, 0.05], [0.55, 0.0], [0.1, 0.02], step=30, recall=1.0, accepted=8),
        ),
        {"40": "OSError: gone"},
    )


def test_the_table_has_a_row_for_each_moment_and_head(emergence):
    table = emergence.to_dataframe()
    assert len(table) == 4 * 2
    row = table[(table["moment"] == "20") & (table["head"] == 0)].iloc[0]
    assert (row["score"], row["forced"], row["induction"], row["recall"]) == (0.7, 0.5, 0.4, 0.9)
    assert (row["step"], row["tokens"], row["n_accepted"]) == (20, 2e7, 7)
    assert table["score"].isna().sum() == 4
    assert emergence.moment_table()["exact"].tolist() == [0, 0.1, 0.45, 0.5]
    assert repr(emergence) == (
        "Emergence(4 moments, 1 layers of 2 heads; recall 0.00 to 1.00; failed: 1)"
    )


def test_appearances_tell_when_each_score_came_and_what_became_of_it(emergence):
    table = emergence.appearances(0.1)
    first, second = table.to_dict("records")
    assert (first["label"], first["score_from"], first["forced_from"]) == ("L0H0", "20", "20")
    assert (first["induction_from"], first["induction_highest"]) == ("10", 0.6)
    assert (first["induction_last"], first["score_highest"], first["score_last"]) == (0.1, 0.7, 0.6)
    assert second["label"] == "L0H1"
    assert table["score_from"].isna().tolist() == [False, True]
    # The threshold itself is enough.
    assert emergence.appearances(0.7)["score_from"].iloc[0] == "20"
    assert emergence.appearances(0.71)["score_from"].isna().all()


def test_the_top_heads_are_those_that_ever_were(emergence):
    assert emergence.top(1) == [Head(0, 0)]
    never = Emergence(emergence.moments[:1])
    assert never.top(5) == [Head(0, 0), Head(0, 1)]
    assert never.appearances()["score_highest"].isna().all()


def test_a_table_comes_back_from_a_file_in_its_order(emergence, tmp_path):
    path = tmp_path / "table.csv"
    shuffled = emergence.to_dataframe().iloc[[1, 0, 3, 2, 5, 4, 7, 6]]
    shuffled.to_csv(path, index=False)
    again = emergence_of(pd.read_csv(path, dtype={"moment": str}))
    assert again.to_dataframe().equals(emergence.to_dataframe())
    with pytest.raises(ValueError, match=r"1 layers of 2 heads once at moment '0'; found 1 rows"):
        emergence_of(shuffled.iloc[1:])
