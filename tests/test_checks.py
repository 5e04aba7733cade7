"""Bad values are refused with what was expected, what was found and what to do."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rh_lens.checks import (
    MAX_SEED,
    did_you_mean,
    found_as,
    require_choice,
    require_flag,
    require_list,
    require_number,
    require_path,
    require_seed,
    require_text,
    require_type,
    require_whole_number,
    shown,
)


def test_good_values_pass():
    require_whole_number("k", 3, at_least=3, at_most=3)
    require_whole_number("k", np.int64(4), at_least=3)
    require_number("threshold", 0, at_least=0, below=1)
    require_number("threshold", np.float32(0.25), above=0)
    require_seed("seed", MAX_SEED)
    require_flag("share", False)
    require_choice("match", None, ["layer", None])
    require_text("name", "a")
    require_text("system", "", blank=True)
    require_type("path", Path("x"), (str, Path))
    assert require_path("path", "a/b") == Path("a/b")
    assert require_list("ks", (k for k in (1, 2)), int) == (1, 2)
    assert require_list("flags", [True], bool) == (True,)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (
            lambda: require_whole_number("k", 2.0, at_least=1),
            "Expected k to be a whole number of 1 or more; found 2.0. Pass one, such as 1.",
        ),
        (
            lambda: require_whole_number("k", [1]),
            "Expected k to be a whole number; found [1] (list). Pass one, such as 0.",
        ),
        (
            lambda: require_whole_number("k", True, remedy="Count them."),
            "Expected k to be a whole number; found True. Count them.",
        ),
        (
            lambda: require_number("p", None, above=0, below=1),
            "Expected p to be a number above 0 and below 1; found None. Pass one, such as 0.5.",
        ),
        (
            lambda: require_flag("share", "no"),
            "Expected share to be True or False; found 'no'. Pass one of the two.",
        ),
        (
            lambda: require_choice("match", 3, ["layer", None]),
            "Expected match to be one of layer, None; found 3. Choose one of these.",
        ),
        (
            lambda: require_text("question", 7),
            "Expected question to be text that is not blank; found 7. Pass a string.",
        ),
        (
            lambda: require_type("scores", [], dict, remedy="Read some."),
            "Expected scores to be a dict; found [] (list). Read some.",
        ),
        (
            lambda: require_list("ks", "12", int),
            "Expected ks to be a list, each entry an int; found '12'. Pass a list: [...].",
        ),
        (
            lambda: require_list("ks", [1, True], int),
            "Expected ks to be a list, each entry an int; found True (bool) at place 1. "
            "Take it out, or write it otherwise.",
        ),
        (
            lambda: require_list("ks", torch.tensor(3), int),
            "Expected ks to be a list, each entry an int; found a Tensor []. Pass a list: [...].",
        ),
        (
            lambda: require_path("out", 3),
            "Expected out to be a path; found 3. Pass a string or a pathlib.Path.",
        ),
    ],
)
def test_a_wrong_type_is_a_type_error(check, message):
    with pytest.raises(TypeError) as error:
        check()
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (
            lambda: require_whole_number("k", 0, at_least=1, at_most=5),
            "Expected k to be a whole number from 1 to 5; found 0. Choose one in this range.",
        ),
        (
            lambda: require_number("threshold", float("nan"), at_least=0),
            "Expected threshold to be a number of 0 or more; found nan. Pass a finite one.",
        ),
        (
            lambda: require_number("factor", np.float64("inf")),
            "Expected factor to be a finite number; found inf. Pass a finite one.",
        ),
        (
            lambda: require_number("factor", 10**400, remedy="Stay below."),
            "Stay below.",
        ),
        (
            lambda: require_number("level", 1, above=0, below=1),
            "Expected level to be a number above 0 and below 1; found 1. Choose one in this range.",
        ),
        (lambda: require_seed("seed", -1), "found -1."),
        (
            lambda: require_choice("match", "depth", ["layer", "kv-group"]),
            "Expected match to be one of layer, kv-group; found 'depth'. Choose one of these.",
        ),
        (
            lambda: require_choice("match", "layers", ["layer", "kv-group"]),
            "Expected match to be one of layer, kv-group; found 'layers'. Did you mean 'layer'?",
        ),
        (
            lambda: require_text("question", " \n"),
            "Expected question to be text that is not blank; found ' \\n'. "
            "Write something into it.",
        ),
        (lambda: require_path("out", ""), "Expected out to be a path; found ''. Name a file"),
        (lambda: require_path("out", "a\0b"), "found 'a\\x00b'."),
        (
            lambda: require_list("ks", [], int, at_least=1),
            "Expected ks to have 1 or more entries; found 0. Pass more.",
        ),
    ],
)
def test_a_bad_value_is_a_value_error(check, message):
    with pytest.raises(ValueError, match="Expected") as error:
        check()
    assert message in str(error.value)


def test_values_are_shown_short_and_on_one_line():
    assert shown("a\nb") == "'a\\nb'"
    assert shown(Path("a b")) == "'a b'"
    for value in ("x" * 10**7, ["y" * 500] * 500, 10**5000, {"z" * 999: 1}, b"\0" * 9999):
        assert len(shown(value)) <= 120
    assert shown(torch.zeros(3, 3)) == "a Tensor [3, 3]"
    assert found_as(object) == "a type"
    assert found_as(1.5) == "1.5 (float)"
    assert found_as(None) == "None"


def test_what_was_meant_is_asked_only_where_something_is_near():
    assert did_you_mean("--lenghts", ["--lengths", "--depths"]) == "Did you mean '--lengths'?"
    assert did_you_mean("qqq", ["--lengths"]) == ""
