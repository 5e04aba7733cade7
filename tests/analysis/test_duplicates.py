"""Runs of equal samples."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rh_lens.analysis import duplicate_runs


def test_runs_of_nine_then_one_are_found():
    generator = torch.Generator().manual_seed(0)
    distinct = torch.rand(4, 3, 5, generator=generator)
    samples = torch.cat([distinct[i : i + 1].expand(n, 3, 5) for i, n in enumerate([9, 1, 9, 1])])
    found = duplicate_runs(samples)
    assert found.run_lengths == (9, 1, 9, 1)
    assert (found.n_samples, found.n_distinct, found.n_repeated) == (20, 4, 16)
    table = found.to_dataframe()
    assert table["start"].tolist() == [0, 9, 10, 19]
    assert table["first_equal"].tolist() == [0, 9, 10, 19]


def test_a_sample_that_comes_again_later_is_a_run_of_its_own():
    found = duplicate_runs(torch.tensor([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]))
    assert found.run_lengths == (1, 1, 1)
    assert found.first_equal.tolist() == [0, 1, 0]
    assert found.n_distinct == 2


def test_nan_equals_nan_and_zero_equals_minus_zero():
    nan = float("nan")
    found = duplicate_runs(torch.tensor([[0.0, nan], [-0.0, nan], [0.0, 1.0]]))
    assert found.first_equal.tolist() == [0, 0, 2]


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match=r"\[sample, \*heads\]; found .* shape \[0, 2\]"):
        duplicate_runs(torch.zeros(0, 2))


def loop_first_equal(rows: list[list[float]]) -> list[int]:
    return [min(j for j in range(len(rows)) if rows[j] == row) for row in rows]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.sampled_from([0.0, 0.5]), min_size=2, max_size=2), min_size=1))
def test_equals_a_loop_over_pairs(rows):
    found = duplicate_runs(torch.tensor(rows))
    assert found.first_equal.tolist() == loop_first_equal(rows)
    assert sum(found.run_lengths) == len(rows)
    assert found.n_distinct == len({tuple(row) for row in rows})
