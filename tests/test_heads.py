import pytest

from rh_lens.heads import Head


def test_label_and_both_written_forms_name_the_same_head():
    assert Head(16, 19).label == str(Head(16, 19)) == "L16H19"
    assert Head.parse("L16H19") == Head.parse("16-19") == Head.parse(" l16h19 ") == Head(16, 19)


def test_heads_sort_by_layer_then_index_and_are_hashable():
    assert sorted([Head(10, 0), Head(2, 11), Head(2, 9)]) == [Head(2, 9), Head(2, 11), Head(10, 0)]
    assert len({Head(1, 2), Head(1, 2), Head(2, 1)}) == 2


@pytest.mark.parametrize("label", ["", "16", "L16", "H19", "L16-H19", "16-19-2", "-1-3", "L١H٢"])
def test_other_labels_are_refused(label: str):
    with pytest.raises(ValueError, match="Expected a head label such as 'L16H19' or '16-19'"):
        Head.parse(label)


def test_negative_indices_are_refused():
    with pytest.raises(ValueError, match="found layer 2, head -1"):
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
