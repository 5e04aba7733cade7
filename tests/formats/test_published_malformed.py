"""Damaged score files are refused by name, place and reason."""

import json

import pytest

from rh_lens.formats import read_head_scores

LONG = "9" * 400


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        ("", "", "found nothing"),
        (" \n", "", "found nothing"),
        ('{"0-0": [0.5', "", "one JSON value.*line 1 column 13"),
        ('{"0-0": [1]}\n{"0-0": [1]}', "", "Extra data: line 2"),
        ("[" * 100_000, "", "one JSON value"),
        ("3.5", "the top", "found 3.5"),
        ("{}", "the top", "found no head"),
        ("[]", "the top", "found no head"),
        ('{"0": {}}', "the top", "found no head"),
        ('{"a-b": [1]}', "'a-b'", "a head such as '16-19'.*found 'a-b'"),
        ('{"-1-3": [1]}', "'-1-3'", "found '-1-3'.*counted from 0"),
        ('{"1": {"-3": [1]}}', "'1': '-3'", "found '1--3'"),
        ("[[[-1, 3], 0.5]]", "entry 0", r"found \[-1, 3\]"),
        ("[[[1, 3.0], 0.5]]", "entry 0", r"found \[1, 3.0\]"),
        ("[[[1, true], 0.5]]", "entry 0", r"found \[1, True\]"),
        ("[[1, 3, 0.5]]", "entry 0", r"a pair such as .*found \[1, 3, 0.5\]"),
        ("[[[0, 0], 0.5], 7]", "entry 1", "found 7"),
        ('{"0-0": [1], "0-1": [1], "0-0": [2]}', "'0-0'", "found L0H0 twice"),
        ('{"0-0": [1], "L0H0": [1]}', "'L0H0'", "found L0H0 twice"),
        ('{"0": {"1": 1, "1": 1}}', "'0': '1'", "found L0H1 twice"),
        ('{"0-0": [0.5, true]}', "'0-0'", "finite numbers.*found True"),
        ('{"0-0": true}', "'0-0'", "found True"),
        ('{"0-0": [0.5, "1"]}', "'0-0'", "found '1'"),
        ('{"0-0": [0.5, null]}', "'0-0'", "found None"),
        ('{"0-0": [NaN]}', "'0-0'", "found nan"),
        ('{"0-0": [1e999]}', "'0-0'", "found inf"),
        (f'{{"0-0": [{LONG}]}}', "'0-0'", "found inf"),
        ('{"0-0": [[0.5]]}', "'0-0'", r"found \[0.5\]"),
        ('{"0-0": []}', "'0-0'", "found an empty list"),
        ('{"0-0": [1], "0-1": 1}', "'0-0'", "found a list, and one number at '0-1'"),
        ('{"0-0": [1], "0-1": [1, 2]}', "", "found 1 scores of L0H0 and 2 of L0H1"),
        ('{"0-0": [1], "9999999-0": [1]}', "", "with indices up to 9999"),
    ],
)
def test_a_malformed_file_is_refused_with_file_place_and_reason(tmp_path, text, place, found):
    path = tmp_path / "damaged.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"(?s){found}") as error:
        read_head_scores(path)
    assert "damaged.json" in str(error.value)
    assert place in str(error.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "scores.json"
    path.write_bytes(b'{"0-0": \xff}')
    with pytest.raises(ValueError, match=r"UTF-8; found other bytes .*scores.json' at position 8"):
        read_head_scores(path)


def test_heads_outside_the_given_shape_are_refused(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({"3-1": [1], "0-5": [1]}))
    with pytest.raises(ValueError, match="3 layers with 6 heads each; found L3H1"):
        read_head_scores(path, n_layers=3)
    with pytest.raises(ValueError, match="4 layers with 5 heads each; found L0H5"):
        read_head_scores(path, n_heads=5)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_head_scores(tmp_path / "nowhere.json")
