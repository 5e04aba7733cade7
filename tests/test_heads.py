import numpy as np
import pandas as pd
import pytest
import torch

from rh_lens.heads import Head, as_heads


def test_label_and_both_written_forms_name_the_same_head():
    assert Head(16, 19).label == str(Head(16, 19)) == "L16H19"
    labels = ["L16H19", "16-19", "16.19", " l16h19 "]
    assert [Head.parse(label) for label in labels] == [Head(16, 19)] * 4


def test_heads_sort_by_layer_then_index_and_are_hashable():
    assert sorted([Head(10, 0), Head(2, 11), Head(2, 9)]) == [Head(2, 9), Head(2, 11), Head(10, 0)]
    assert len({Head(1, 2), Head(1, 2), Head(2, 1)}) == 2


@pytest.mark.parametrize(
    "label", ["", "16", "L16", "H19", "L16-H19", "16-19-2", "1.2.3", "-1-3", "L١H٢"]
)
def test_other_labels_are_refused(label: str):
    with pytest.raises(ValueError, match=r"such as 'L16H19', '16-19' or '16\.19'; found"):
        Head.parse(label)


def test_negative_indices_are_refused():
    with pytest.raises(ValueError, match="head to be a whole number from 0 to 9999; found -1"):
        Head(2, -1)


def test_four_query_heads_share_a_key_value_head_in_mistral():
    groups = [Head(0, head).kv_group(32, 8) for head in range(32)]
    assert groups == [head // 4 for head in range(32)]
    assert Head(3, 5).kv_group(8, 8) == 5
    assert Head(3, 5).kv_group(8, 1) == 0


def test_kv_group_refuses_counts_that_do_not_divide_and_heads_that_do_not_exist():
    with pytest.raises(ValueError, match="found 8 query heads and 3 key-value heads"):
        Head(0, 0).kv_group(8, 3)
    with pytest.raises(ValueError, match="head index below 8; found L0H8"):
        Head(0, 8).kv_group(8, 2)


MASK = torch.tensor([[False, False, True], [True, False, False]])


@pytest.mark.parametrize(
    "notation",
    [
        [Head(0, 2), Head(1, 0)],
        [(0, 2), (1, 0)],
        [[0, 2], [1, 0]],
        ("L0H2", "L1H0"),
        ["0-2", "1.0"],
        (head for head in ["L0H2", (1, 0)]),
        [(np.int64(0), np.int64(2)), Head(1, 0)],
        pd.Series(["L0H2", "L1H0"]),
        MASK,
        MASK.numpy(),
        pd.DataFrame(MASK.numpy()),
    ],
    ids=lambda notation: type(notation).__name__,
)
def test_every_notation_names_the_same_two_heads(notation: object):
    assert as_heads(notation) == (Head(0, 2), Head(1, 0))


@pytest.mark.parametrize("one", [Head(2, 4), (2, 4), "L2H4", "2-4", "2.4"], ids=str)
def test_one_head_stands_for_a_list_of_it(one: object):
    assert as_heads(one) == (Head(2, 4),)


def test_order_and_repeats_are_kept_and_nothing_is_no_head():
    assert as_heads(["L3H1", "L0H0", "L3H1"]) == (Head(3, 1), Head(0, 0), Head(3, 1))
    assert as_heads([]) == as_heads(()) == as_heads(MASK & False) == ()


@pytest.mark.parametrize("wrong", [2.4, [2.4], 7, [1, 2], (1, 2, 3), (2, 4.0), (True, 1), None])
def test_what_names_no_head_is_refused(wrong: object):
    with pytest.raises(TypeError, match=r"Expected heads as Head\(2, 4\).*layer first"):
        as_heads(wrong)


@pytest.mark.parametrize("scores", [torch.rand(2, 3), torch.ones(2, 3, 4, dtype=torch.bool)])
def test_only_a_boolean_layer_by_head_mask_is_a_mask(scores: torch.Tensor):
    with pytest.raises(ValueError, match=r"mask \[layer, head\]; found .* of the shape \[2, 3"):
        as_heads(scores)
