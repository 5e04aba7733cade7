import math
import warnings

import pytest
import torch

from rh_lens.detection import RetrievalScores
from rh_lens.heads import Head

NAN = math.nan


@pytest.fixture
def scores():
    """Two trials, two layers, three heads; L1H0 saw one trial, L1H2 none."""
    values = [[[0.0, 1.0, 3 / 7], [0.5, 0.1, NAN]], [[0.0, 0.5, 3 / 7], [NAN, 0.1, NAN]]]
    return RetrievalScores(torch.tensor(values, dtype=torch.float64), "position", (4, 9))


def test_the_mean_is_taken_over_the_trials_a_head_could_see(scores):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mean = scores.mean()
    assert mean[0].tolist() == [0.0, 0.75, 3 / 7]
    assert mean[1, :2].tolist() == [0.5, 0.1]
    assert math.isnan(mean[1, 2])


def test_top_ranks_by_the_mean_and_leaves_out_heads_without_score(scores):
    assert scores.top(2) == [Head(0, 1), Head(1, 0)]
    assert scores.top(99) == [Head(0, 1), Head(1, 0), Head(0, 2), Head(1, 1), Head(0, 0)]


def test_ties_keep_the_order_of_layer_and_head():
    tied = RetrievalScores(torch.full((1, 2, 2), 0.5, dtype=torch.float64), "event", (0,))
    assert [head.label for head in tied.top(4)] == ["L0H0", "L0H1", "L1H0", "L1H1"]


def test_a_retrieval_head_scores_at_least_the_threshold(scores):
    assert scores.heads() == [Head(0, 1), Head(1, 0), Head(0, 2), Head(1, 1)]
    assert scores.heads(threshold=0.100001) == [Head(0, 1), Head(1, 0), Head(0, 2)]
    assert scores.heads(threshold=2.0) == []


def test_the_table_has_every_head_best_first(scores):
    table = scores.to_dataframe()
    assert list(table.columns) == ["layer", "head", "label", "score", "n_trials", "activation"]
    assert table["label"].tolist() == ["L0H1", "L1H0", "L0H2", "L1H1", "L0H0", "L1H2"]
    assert table["score"].tolist()[:5] == [0.75, 0.5, 3 / 7, 0.1, 0.0]
    assert table["n_trials"].tolist() == [2, 1, 2, 2, 2, 0]
    assert table["activation"].tolist()[:5] == [1.0, 0.5, 1.0, 1.0, 0.0]
    assert table.iloc[5][["score", "activation"]].isna().all()


def test_asking_for_no_head_is_refused(scores):
    with pytest.raises(ValueError, match="Expected k to be a whole number of 1 or more; found 0"):
        scores.top(0)


def test_scores_of_nothing_are_refused():
    with pytest.raises(ValueError, match="found 0 rows of scores and 0 indices"):
        RetrievalScores(torch.zeros(0, 2, 2), "position", ())


def test_every_row_needs_its_trial():
    with pytest.raises(ValueError, match="found 2 rows of scores and 1 indices"):
        RetrievalScores(torch.zeros(2, 2, 2), "position", (0,))
