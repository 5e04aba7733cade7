import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from published_file import reference_values
from tolerances import double_rounding

from rh_lens.analysis import audit_scores
from rh_lens.detection import RetrievalScores, ScoreOrigin

NAN = math.nan


def scores_of(values, source=None):
    values = torch.as_tensor(values, dtype=torch.float64)
    return RetrievalScores(values, "published", tuple(range(len(values))), source)


def sweeps(n, *, runs=(9, 1), seed=0):
    """Samples of `n` depth sweeps in which some depths are one prompt: runs of equal samples."""
    distinct = np.random.default_rng(seed).random((len(runs) * n, 2, 4))
    return np.repeat(distinct, [*runs] * n, axis=0)


def test_a_sound_table_has_nothing_to_report():
    audit = audit_scores(scores_of(reference_values().clip(0, 1)))
    assert (audit.n_samples, audit.duplicates.n_distinct) == (586, 580)
    assert not audit.depth_collapsed
    assert (audit.repetition.n_in_runs, audit.n_copies, audit.n_zero_samples) == (0, 1, 0)
    assert (audit.n_above_one, audit.max_score, len(audit.above_one)) == (0, 1.0, 0)


def test_a_collapsed_sweep_leaves_runs_of_nine_then_one():
    audit = audit_scores(scores_of(sweeps(6)))
    assert audit.duplicates.run_lengths == (9, 1) * 6
    assert (audit.n_samples, audit.duplicates.n_distinct) == (60, 12)
    assert (audit.repetition.n_in_runs, audit.depth_collapsed) == (54, True)
    assert audit.repetition.neighbours_equal == 48 / 59
    assert audit.repetition.others_equal == 0


@pytest.mark.parametrize("runs", [(7, 2, 1), (4, 5, 1), (4, 1), (2, 2, 2, 2, 2), (10,)])
def test_collapsed_sweeps_leave_runs_of_any_lengths(runs):
    audit = audit_scores(scores_of(sweeps(39, runs=runs)))
    assert audit.duplicates.n_distinct == 39 * len(runs)
    assert audit.depth_collapsed


def test_a_file_of_390_samples_with_112_distinct_ones_has_collapsed():
    """112 runs, whose typical lengths are 7, 2, 1, 4, 5 and 1; none has nine samples."""
    lengths = [7, 2, 1, 4, 5, 1] * 19
    lengths = [*lengths[:111], 390 - sum(lengths[:111])]
    assert 9 not in lengths
    distinct = np.random.default_rng(1).random((112, 2, 4))
    audit = audit_scores(scores_of(np.repeat(distinct, lengths, axis=0)))
    assert (audit.n_samples, audit.duplicates.n_distinct) == (390, 112)
    assert audit.depth_collapsed


def test_samples_that_are_equal_wherever_they_stand_are_no_collapse():
    """A head that copies all or nothing: half of the neighbours are equal, and of all others."""
    values = np.random.default_rng(0).integers(1, 3, (200, 1, 1)) / 2
    audit = audit_scores(scores_of(values))
    assert audit.repetition.n_in_runs > 100
    assert audit.repetition.neighbours_equal == pytest.approx(0.5, abs=0.1)
    assert audit.repetition.others_equal == pytest.approx(0.5, abs=0.05)
    assert not audit.depth_collapsed


def test_a_repeat_here_and_there_is_no_collapse():
    """Four of ten samples stand in runs."""
    assert not audit_scores(scores_of(sweeps(6, runs=(2, 1, 1, 2, 1, 1, 1, 1)))).depth_collapsed


def test_rounding_is_no_score_above_one():
    """Tenths that are added up one by one may make 1.0000000000000002."""
    noise = 1 + 2**-52
    values = [[[noise, 0.5]], [[noise, 1.0]], [[1 - 2**-53, 0.25]]]
    audit = audit_scores(scores_of(values))
    assert (audit.n_above_one, len(audit.above_one)) == (0, 0)
    table = audit.to_dataframe()
    assert (table["largest_change"][table["correction"] == "cut at 1"] == 0).all()
    assert audit_scores(scores_of([[[1 + 1 / 1024]]])).n_above_one == 1


def test_samples_of_zeros_are_missed_needles_and_no_sweep():
    values = np.concatenate([np.zeros((9, 2, 4)), sweeps(1)[8:]])
    values[0, 0, 0] = NAN
    values[1:9, 0, 0] = NAN
    audit = audit_scores(scores_of(values))
    assert audit.n_zero_samples == 9
    assert audit.duplicates.run_lengths == (9, 1, 1)
    assert (audit.repetition.n_samples, audit.repetition.n_in_runs) == (2, 0)
    assert not audit.depth_collapsed
    assert not audit_scores(scores_of(np.zeros((9, 2, 4)))).depth_collapsed


def test_a_sample_that_no_head_saw_is_no_sample_of_zeros():
    assert audit_scores(scores_of([[[0.5]], [[NAN]]])).n_zero_samples == 0


def test_an_appended_run_is_copies_of_one_sequence():
    once = np.random.default_rng(0).random((7, 2, 4))
    assert audit_scores(scores_of(np.concatenate([once] * 3))).n_copies == 3
    assert audit_scores(scores_of(np.concatenate([once, once[:6]]))).n_copies == 1
    assert audit_scores(scores_of(np.ones((4, 1, 1)))).n_copies == 1


def test_scores_above_one_are_listed_by_head():
    values = [[[0.5, 1.25], [1.0, 2.0]], [[0.5, 1.5], [1.0, 0.0]], [[NAN, 1.0], [0.0, 0.0]]]
    audit = audit_scores(scores_of(values))
    assert (audit.n_above_one, audit.max_score) == (3, 2.0)
    rows = audit.above_one.itertuples(index=False, name=None)
    assert list(rows) == [(0, 1, "L0H1", 2, 1.5), (1, 1, "L1H1", 1, 2.0)]


def test_corrections_change_the_set_of_retrieval_heads():
    # Four equal samples without L0H0, one with it, a sample of zeros, and one repetitive sample.
    values = [[[0.0, 0.9, 0.0]]] * 4 + [[[0.6, 0.9, 0.0]], [[0.0] * 3], [[0.0, 0.9, 3.5]]]
    audit = audit_scores(scores_of(values), thresholds=[0.15, 0.5])
    table = audit.to_dataframe().set_index(["threshold", "correction"])
    assert table.loc[0.15, "n_samples"].to_dict() == {
        "as given": 7,
        "each sample once": 4,
        "no all-zero samples": 6,
        "cut at 1": 7,
        "all three": 3,
    }
    # L0H0: 0.6/7, 0.6/4, 0.6/6, 0.6/7, 0.6/3; L0H2: 3.5/7, 3.5/4, 3.5/6, 1/7, 1/3.
    assert table.loc[0.15, "n"].tolist() == [2, 3, 2, 1, 3]
    assert table.loc[0.15, "enter"].tolist() == ["", "L0H0", "", "", "L0H0"]
    assert table.loc[0.15, "leave"].tolist() == ["", "", "", "L0H2", ""]
    assert table.loc[0.5, "leave"].tolist() == ["", "", "", "L0H2", "L0H2"]
    assert table.loc[0.5, "jaccard"].tolist() == [1.0, 1.0, 1.0, 0.5, 0.5]
    changes = [0.0, 3.5 / 4 - 0.5, 0.9 - 5.4 / 7, 0.5 - 1 / 7, 0.5 - 1 / 3]
    assert table.loc[0.15, "largest_change"].tolist() == pytest.approx(changes)


def test_a_table_of_zeros_leaves_no_sample_when_they_are_removed():
    table = audit_scores(scores_of(np.zeros((2, 1, 2)))).to_dataframe()
    row = table[table["correction"] == "no all-zero samples"].iloc[0]
    assert (row["n_samples"], row["n"], row["jaccard"]) == (0, 0, 1.0)
    assert math.isnan(row["largest_change"])


def test_the_record_is_json():
    source = ScoreOrigin("scores.json", "0" * 64, "head lists", 20)
    audit = audit_scores(scores_of(sweeps(2), source))
    record = json.loads(json.dumps(audit.to_record(), allow_nan=False))
    assert record == audit.to_record()
    assert record["origin"]["path"] == "scores.json"
    assert (record["n_samples"], record["n_distinct"], record["run_lengths"]) == (20, 4, [9, 1] * 2)
    assert len(record["effects"]) == 25


def test_means_cannot_be_audited():
    source = ScoreOrigin("means.json", "0" * 64, "head means", None)
    with pytest.raises(ValueError, match="found one value for each head"):
        audit_scores(scores_of([[[0.5]]], source))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 6), times=st.integers(1, 4))
def test_repeating_every_sample_changes_neither_scores_nor_what_is_distinct(seed, n, times):
    once = np.random.default_rng(seed).beta(0.3, 1, (n, 2, 3))
    repeated = audit_scores(scores_of(np.repeat(once, times, axis=0)))
    assert repeated.duplicates.n_distinct == audit_scores(scores_of(once)).duplicates.n_distinct
    assert sum(repeated.duplicates.run_lengths) == repeated.n_samples == n * times
    table = repeated.to_dataframe()
    unique = table[table["correction"] == "each sample once"]
    assert (unique["largest_change"] < double_rounding(n * times)).all()
    cut = table[table["correction"] == "cut at 1"]
    assert (cut["jaccard"] == 1).all()
