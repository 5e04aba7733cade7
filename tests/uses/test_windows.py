"""Which key-value groups keep the whole context."""

import math
from collections.abc import Callable

import pytest
import torch
from tiny_models import TinyModel

from rh_lens.uses import (
    attention_shape,
    group_scores,
    windows_above,
    windows_by_share,
    windows_in_proportion,
    windows_within,
)

INF = math.inf
SCORES = torch.tensor([[0.0, 0.2], [0.9, 0.2], [0.0, 0.1]])


def test_a_group_has_the_best_score_of_its_heads() -> None:
    heads = torch.tensor([[0.1, 0.3, math.nan, math.nan], [0.0, 0.0, 0.5, 0.4]])
    assert group_scores(heads, 2).tolist() == [pytest.approx([0.3, 0.0]), [0.0, 0.5]]


@pytest.mark.parametrize(
    ("share", "kept"), [(0.0, []), (0.1, [2]), (1 / 3, [2, 1]), (0.5, [2, 1, 3]), (1.0, range(6))]
)
def test_a_share_keeps_the_best_and_ties_go_by_place(share: float, kept: list[int]) -> None:
    windows = windows_by_share(SCORES, share, recent=8).flatten()
    assert windows.tolist() == [INF if place in kept else 8 for place in range(6)]


def test_a_share_of_thirty_groups_is_not_rounded_up_by_noise() -> None:
    assert int(windows_by_share(torch.rand(3, 10), 0.1).isinf().sum()) == 3


def test_a_threshold_keeps_those_that_reach_it() -> None:
    assert windows_above(SCORES, 0.2, recent=5).tolist() == [[5, INF], [INF, INF], [5, 5]]


def test_bytes_are_used_and_not_exceeded(tiny_model: Callable[[str], TinyModel]) -> None:
    """At 100 tokens a whole group has 100 x 64 bytes, one with 4 sinks and 7 others 11 x 64."""
    shape = attention_shape(tiny_model("llama").reference)
    windows = windows_within(SCORES, (2 * 100 + 4 * 11) * 64, shape, n_tokens=100, recent=8)
    assert windows.tolist() == [[8, INF], [INF, 8], [8, 8]]
    one_less = windows_within(SCORES, (2 * 100 + 4 * 11) * 64 - 1, shape, n_tokens=100, recent=8)
    assert one_less.tolist() == [[8, 8], [INF, 8], [8, 8]]
    with pytest.raises(ValueError, match="4,224 bytes at 100 tokens; found 4,223"):
        windows_within(SCORES, 6 * 11 * 64 - 1, shape, n_tokens=100, recent=8)


def test_windows_grow_with_the_score() -> None:
    """60 positions, 10 for each; the other 0 are shared; then 74: 14 x (0, 1/7, 9/14, ...)."""
    assert windows_in_proportion(SCORES, 60, recent=10).unique().tolist() == [10]
    found = windows_in_proportion(torch.tensor([[0.0, 2.0], [9.0, 3.0]]), 54, recent=10)
    assert found.tolist() == [[10, 12], [19, 13]]
    with pytest.raises(ValueError, match="one of them above 0; found 0"):
        windows_in_proportion(torch.zeros(2, 2), 99)
