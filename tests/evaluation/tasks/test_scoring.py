"""Scores worked out by hand, from the published rules."""

from fractions import Fraction

import pytest

from rh_lens.evaluation.tasks import (
    TaskItem,
    contains_all,
    contains_any,
    exact_match,
    hotpot_f1,
    normalise_answer,
    same_letter,
    same_number,
    token_f1,
)
from rh_lens.evaluation.tasks.scoring import as_number


def item(*answers: str, choices: tuple[str, ...] = ()) -> TaskItem:
    return TaskItem("one", "What?", answers, choices=choices)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The U.S.A.", "usa"),
        ("in-depth", "indepth"),
        ("  An  apple,\ta pear ", "apple pear"),
        ("theatre", "theatre"),
        ("A", ""),
        ("Café “Paris”", "café “paris”"),
        ("", ""),
        ("another the", "another"),
    ],
)
def test_normalisation_is_the_published_one(text: str, plain: str) -> None:
    assert normalise_answer(text) == plain


@pytest.mark.parametrize(
    ("said", "right", "f1", "exact"),
    [
        ("the Denver Broncos.", "Denver Broncos", 1, 1),
        ("Broncos", "Denver Broncos", 2 / 3, 0),
        ("the team called Denver Broncos", "Denver Broncos", 2 * 2 / (4 + 2), 0),
        ("red red red", "red blue", 2 * 1 / (3 + 2), 0),
        ("heron", "otter", 0, 0),
        ("", "otter", 0, 0),
        ("the", "a", 1, 1),
        ("the", "otter", 0, 0),
    ],
)
def test_f1_and_exact_match(said: str, right: str, f1: float, exact: float) -> None:
    assert token_f1(said, item(right)) == pytest.approx(f1)
    assert exact_match(said, item(right)) == exact


def test_the_best_of_several_right_answers_counts() -> None:
    assert token_f1("1066", item("in the year 1066", "1066")) == 1
    assert exact_match("1066", item("in the year 1066", "1066")) == 1


def test_an_unanswerable_question_is_answered_by_saying_nothing() -> None:
    assert (token_f1("", item()), exact_match("", item())) == (1, 1)
    assert (token_f1("Paris", item()), exact_match("Paris", item())) == (0, 0)
    assert (token_f1("the.", item()), exact_match("the.", item())) == (1, 1)


def test_yes_and_no_are_all_or_nothing_in_hotpotqa() -> None:
    assert hotpot_f1("yes", item("yes")) == 1
    assert hotpot_f1("no it is", item("no")) == 0
    assert token_f1("no it is", item("no")) == 0.5
    assert hotpot_f1("yes", item("yes sir")) == 0
    assert hotpot_f1("the red hat", item("red hat")) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18", 18), ("18.00", 18), ("$1,234.50.", Fraction(2469, 2)), ("-5", -5), ("−5", -5),
        ("3/4", Fraction(3, 4)), (".5", Fraction(1, 2)), ("5%", 5), ("1e3", 1000), ("１２", 12),
        ("0.1", Fraction(1, 10)), ("", None), ("x", None), ("1,5", None), ("3/0", None),
        ("1 2", None), ("nan", None), ("1e9999", None), ("-", None),
    ],
)  # fmt: skip
def test_numbers_are_read_exactly(text: str, value: Fraction | None) -> None:
    assert as_number(text) == value


def test_numbers_are_equal_as_numbers() -> None:
    assert same_number("18.00", item("18")) == 1
    assert same_number("0.75", item("3/4")) == 1
    assert same_number("0.1", item("0.10000000001")) == 0
    assert same_number("", item("18")) == 0
    assert same_number("x", item("x")) == 0


def test_letters_and_the_choices_they_stand_for() -> None:
    cities = ("Rome", "Paris", "A")
    assert same_letter("B", item("B", choices=cities)) == 1
    assert same_letter("B", item("Paris", choices=cities)) == 1
    assert same_letter("b", item("Paris", choices=cities)) == 1
    assert same_letter("C", item("A", choices=cities)) == 1
    assert same_letter("", item("B", choices=cities)) == 0


def test_strings_that_are_wanted_in_the_text() -> None:
    assert contains_all("1234 and 77 ", item("1234", "5678", "77")) == pytest.approx(2 / 3)
    assert contains_any("It was  PARIS.", item("Rome", "paris")) == 1
    assert contains_any("It was Rome", item("Paris")) == 0
    assert (contains_all("", item()), contains_all("x", item())) == (1, 0)
