"""The paper's score files and their kin, written and read."""

import hashlib
import json
import time

import numpy as np
import pytest
import torch
from published_file import N_SAMPLES, TOP, reference_values, write_lists

from rh_lens.analysis import duplicate_runs, measure_sparsity
from rh_lens.detection import RetrievalScores
from rh_lens.formats import read_head_scores, write_head_means, write_head_scores
from rh_lens.heads import Head

NAN = float("nan")


def save(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.fixture
def file(tmp_path):
    return tmp_path / "head_scores.json"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A file of 1,024 heads x 586 samples with the reference file's counts."""
    return write_lists(reference_values(), tmp_path_factory.mktemp("published") / "scores.json")


def test_lists_hold_the_trials_that_a_head_could_see(file):
    values = torch.tensor([[[0.5, 0.0], [NAN, NAN]], [[1.0, 0.25], [0.75, NAN]]])
    scores = RetrievalScores(values.double(), "position", (0, 3))
    write_head_scores(scores, file)
    assert json.loads(file.read_text()) == {"0-0": [0.5, 1.0], "0-1": [0.0, 0.25], "1-0": [0.75]}


def test_the_mean_of_a_list_is_the_retrieval_score(run, file):
    result = run()
    write_head_scores(result.scores, file)
    content = json.loads(file.read_text())
    assert content["0-1"] == [1.0]
    assert content["1-2"] == [3 / 7]
    assert len(content) == 12


def test_a_published_file_gives_the_reference_row(published):
    scores = read_head_scores(published)
    row = measure_sparsity(scores)
    assert scores.values.shape == (586, 32, 32)
    assert duplicate_runs(scores.values).n_distinct == 580
    assert (row.n_above, row.n_between, row.n_zero) == (33, 272, 719)
    assert (row.n_heads, row.n_without, row.n_always_active) == (1024, 0, 12)
    assert f"{row.share(row.n_above):.2%} {row.share(row.n_zero):.1%}" == "3.22% 70.2%"
    assert scores.top(7) == [Head(*place) for place in TOP]
    best = [round(float(scores.mean()[place]), 4) for place in TOP]
    assert best == [0.9426, 0.9201, 0.7996, 0.6178, 0.6135, 0.5574, 0.4586]


def test_a_dense_file_of_600_000_scores_loads_in_two_seconds(tmp_path):
    values = np.random.default_rng(0).random((N_SAMPLES, 32, 32))
    path = write_lists(values, tmp_path / "dense.json")
    start = time.process_time()
    scores = read_head_scores(path)
    assert time.process_time() - start < 2.0
    assert scores.values.numpy().tobytes() == values.tobytes()


def test_the_source_names_file_hash_form_and_number_of_samples(published):
    source = read_head_scores(published).origin
    assert source.path == str(published)
    assert source.sha256 == hashlib.sha256(published.read_bytes()).hexdigest()
    assert (source.format, source.n_samples) == ("head lists", 586)


LISTS = {(0, 1): [0.5, 1.0], (2, 0): [0, 1.5]}
MEANS = {head: [sum(values) / 2] for head, values in LISTS.items()}


@pytest.mark.parametrize(
    ("content", "form"),
    [
        ({"0-1": [0.5, 1.0], "2-0": [0, 1.5]}, "head lists"),
        ({"L2H0": [0, 1.5], "L0H1": [0.5, 1.0]}, "head lists"),
        ({"0-1": 0.75, "2-0": 0.75}, "head means"),
        ({"0": {"1": [0.5, 1.0]}, "2": {"0": [0, 1.5]}}, "nested lists"),
        ({"0": {"1": 0.75}, "2": {"0": 0.75}}, "nested means"),
        ([[[0, 1], [0.5, 1.0]], [[2, 0], [0, 1.5]]], "pair lists"),
        ([["0-1", 0.75], ["2-0", 0.75]], "pair means"),
        ([[0.75, [2, 0]], [0.75, [0, 1]]], "pair means"),
        ({"model": "x", "scores": {"0-1": [0.5, 1.0], "2-0": [0, 1.5]}}, "head lists"),
        ({"head_scores": [["0-1", 0.75], ["2-0", 0.75]], "n": 2}, "pair means"),
    ],
)
def test_every_form_gives_the_same_scores(file, content, form):
    scores = read_head_scores(save(file, content))
    means = form.endswith("means")
    assert (scores.origin.format, scores.origin.n_samples) == (form, None if means else 2)
    for (layer, head), values in (MEANS if means else LISTS).items():
        assert scores.values[:, layer, head].tolist() == values
    assert scores.values.isnan().sum(dim=(1, 2)).tolist() == [4] * len(scores.values)
    assert scores.trials == ((0,) if means else (0, 1))


def test_heads_that_the_file_lacks_have_no_score(file):
    save(file, {"0-1": [0.5], "1-0": [0.0]})
    assert read_head_scores(file).values.shape == (1, 2, 2)
    scores = read_head_scores(file, n_layers=3, n_heads=4)
    assert scores.values.shape == (1, 3, 4)
    assert scores.ranking() == [Head(0, 1), Head(1, 0)]


def test_scores_below_zero_rank_before_heads_without_one(file):
    scores = read_head_scores(save(file, {"0-0": [-3.0], "1-1": [-2.0]}))
    assert scores.ranking() == [Head(1, 1), Head(0, 0)]


def test_lists_of_unequal_length_are_read_as_means_when_asked_for(file):
    save(file, {"0-0": [0.5, 1.0], "0-1": [0.25]})
    scores = read_head_scores(file, means_only=True, name="event")
    assert scores.values.tolist() == [[[0.75, 0.25]]]
    assert (scores.origin.n_samples, scores.name) == (None, "event")


def test_means_are_one_number_a_head_and_leave_out_heads_without_a_score(file):
    values = torch.tensor([[[0.5, NAN]], [[0.25, NAN]]], dtype=torch.float64)
    write_head_means(RetrievalScores(values, "position", (0, 1)), file)
    assert json.loads(file.read_text()) == {"0-0": 0.375}


def test_a_byte_order_mark_is_no_damage(file):
    file.write_bytes(b"\xef\xbb\xbf" + b'{"0-0": [1]}\n')
    assert read_head_scores(file).values.tolist() == [[[1.0]]]
