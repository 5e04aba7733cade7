"""What is written is read back, whatever the scores (property-based)."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from rh_lens.detection import RetrievalScores
from rh_lens.formats import (
    read_duo_attention,
    read_head_scores,
    read_qrhead,
    write_duo_attention,
    write_head_means,
    write_head_scores,
    write_qrhead,
)

SHAPES = array_shapes(min_dims=3, max_dims=3, max_side=5)
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)
SHARES = st.floats(0, 1)
# No fractions, and their mean is one rounding above 0.6.
BESIDE_A_FRACTION = torch.tensor([[[1.2000000000000002]], [[1e-277]]], dtype=torch.float64)


@st.composite
def tables(draw, values=FINITE, blind_heads=True):
    """Scores of a few samples and heads; some heads never saw the answer, at least one did."""
    table = draw(arrays(np.float64, SHAPES, elements=values))
    blind = draw(arrays(np.bool_, table.shape[1:])) if blind_heads else np.zeros(table.shape[1:])
    blind[-1, -1] = False
    table[:, blind.astype(bool)] = math.nan
    return RetrievalScores(torch.from_numpy(table), "position", tuple(range(len(table))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("round_trip")


def shape(scores):
    return dict(zip(("n_layers", "n_heads"), scores.values.shape[1:], strict=True))


@settings(deadline=None)
@given(scores=tables())
def test_lists_come_back_bit_for_bit(folder, scores):
    write_head_scores(scores, folder / "lists.json")
    read = read_head_scores(folder / "lists.json")
    torch.testing.assert_close(read.values, scores.values, rtol=0, atol=0, equal_nan=True)
    assert read.trials == scores.trials
    assert read.ranking() == scores.ranking()


@example(scores=RetrievalScores(BESIDE_A_FRACTION, "position", (0, 1)))
@settings(deadline=None)
@given(scores=tables(st.floats(-10, 10)))
def test_means_come_back_bit_for_bit(folder, scores):
    write_head_means(scores, folder / "means.json")
    read = read_head_scores(folder / "means.json")
    (kept,) = read.values
    torch.testing.assert_close(kept, scores.mean(), rtol=0, atol=0, equal_nan=True)
    # A number next to a small fraction counts as that fraction (`exact_mean`).
    torch.testing.assert_close(read.mean(), kept, rtol=1e-14, atol=0, equal_nan=True)


@settings(deadline=None)
@given(scores=tables(), seed=st.integers(0, 999))
def test_the_order_of_the_heads_in_the_file_does_not_matter(folder, scores, seed):
    write_head_scores(scores, folder / "ordered.json")
    entries = list(json.loads((folder / "ordered.json").read_text()).items())
    np.random.default_rng(seed).shuffle(entries)
    (folder / "shuffled.json").write_text(json.dumps(dict(entries)))
    read = read_head_scores(folder / "shuffled.json", **shape(scores))
    torch.testing.assert_close(read.values, scores.values, rtol=0, atol=0, equal_nan=True)


@settings(deadline=None)
@given(scores=tables(SHARES, blind_heads=False))
def test_gates_come_back_bit_for_bit(folder, scores):
    write_duo_attention(scores, folder / "full_attention_heads.tsv")
    read = read_duo_attention(folder / "full_attention_heads.tsv")
    (kept,) = read.values
    assert torch.equal(kept, scores.mean())


@settings(deadline=None)
@given(scores=tables(), k=st.integers(1, 25), suffix=st.sampled_from(["yaml", "txt"]))
def test_a_list_of_heads_comes_back_in_its_order(folder, scores, k, suffix):
    heads = scores.top(k)
    write_qrhead(heads, folder / f"heads.{suffix}")
    read = read_qrhead(folder / f"heads.{suffix}", **shape(scores))
    assert read.top(len(heads)) == heads
    assert int((read.mean() > 0).sum()) == len(heads)
