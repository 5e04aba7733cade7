"""What counts as the answer in what a model said, case by awkward case."""

import pytest

from rh_lens.evaluation.tasks import (
    TaskItem,
    choice_letter,
    final_answer,
    first_line,
    last_number,
    stated_answer,
    whole_text,
)

ITEM = TaskItem("one", "What?", ("x",))
CITIES = TaskItem("two", "Where?", ("B",), choices=("Rome", "Paris", "New York", "York"))

NUMBERS = {
    "72": "72",
    " The answer is 72.": "72",
    "3 + 4 = 7": "7",
    "12-5=7": "7",
    "12 - 5 is 7, so 7": "7",
    "x = -5": "-5",
    "it is −5 degrees": "-5",
    "5-3": "3",
    "she has $18 left.": "18",
    "-$3": "-3",
    "€1,234.50 in all": "1234.50",
    "1,234,567 people": "1234567",
    "1,5": "5",
    "1, 2, 3": "3",
    "20% of them": "20",
    "about 3/4 of it": "3/4",
    "48/2=24": "24",
    "3.": "3",
    "3.50": "3.50",
    ".5": ".5",
    "1e3 grams": "1e3",
    "5kg": "5",
    "20 km/h": "20",
    "5 tons of CO2": "5",
    "The answer is 72, as 8 * 9 is 72 and not 71.": "72",
    "The answer is 5. No: the answer is 6 apples, of 10.": "6",
    "8 * 9 = 72\n#### 72": "72",
    "#### 1,000": "1000",
    "Final answer: $2,125 (of 5,000)": "2125",
    "The answer is seven, or 7": "7",
    "The answer is unknown": "",
    "１２": "12",
    "٣": "",
    "none at all": "",
    "": "",
    "...": "",
    "\n\n 9 \n": "9",
    "10:30": "30",
    "2nd": "2",
    "R2D2": "",
}


@pytest.mark.parametrize("text", NUMBERS)
def test_the_last_number_is_the_answer(text: str) -> None:
    assert last_number(text, ITEM) == NUMBERS[text]


LETTERS = {
    "B": "B",
    " B.": "B",
    "(B)": "B",
    "b": "B",
    "B) Paris": "B",
    "B: Paris": "B",
    "**B**": "B",
    "B\nbecause it is": "B",
    "The answer is (B).": "B",
    "The answer is B because A is wrong.": "B",
    "The answer is: b": "B",
    "Answer: **C**.": "C",
    "The correct option is D, not (A).": "D",
    "The answer is not A. The answer is (C)": "C",
    "It must be (C).": "C",
    "(A) or (B)?": "",
    "A heron stood there.": "",
    "The answer is a heron.": "",
    "A": "A",
    "A.": "A",
    "I think it is Paris.": "B",
    "new york, I'd say": "C",
    "York": "D",
    "Paris or Rome": "",
    "Between A and B I choose C": "",
    "So C it is not": "",
    "I choose C": "C",
    "E": "",
    "Ｂ": "B",
    "": "",
    "\n": "",
    "ABBA": "",
    "That's it": "",
}


@pytest.mark.parametrize("text", LETTERS)
def test_the_letter_that_was_chosen(text: str) -> None:
    assert choice_letter(text, CITIES) == LETTERS[text]


def test_an_item_without_choices_has_four_letters() -> None:
    assert [choice_letter(letter, ITEM) for letter in "ADE"] == ["A", "D", ""]


FINAL = {
    "It is so. The answer is Paris.": "Paris",
    "The answer is Paris. It is in France.": "Paris",
    "So the answer is 3.5 metres.": "3.5 metres",
    "The answer is the U.S.A.": "the U.S.A",
    "answer: 'two crates'": "two crates",
    "The answer is one. Wait, the answer is two.": "two",
    "#### blue": "blue",
    "The answer is\nParis": "Paris",
    "The answer is": "",
    "First this.\nThen Paris": "Then Paris",
    "": "",
    "The answer is “a red hat”.": "a red hat",
    "The answer is Mr. Brown.": "Mr",
}


@pytest.mark.parametrize("text", FINAL)
def test_the_answer_at_the_end_of_a_chain(text: str) -> None:
    assert final_answer(text, ITEM).rstrip(".") == FINAL[text]


def test_an_extractive_answer_is_the_first_line_that_is_not_blank() -> None:
    assert first_line("\n  a red hat. \nQuestion: what else?", ITEM) == "a red hat."
    assert first_line(" \n ", ITEM) == ""
    assert whole_text("\n a\nb ", ITEM) == "a\nb"


@pytest.mark.parametrize(
    "text",
    ["unanswerable", "Unanswerable.", "No answer", "Not stated in the text.", "N/A", "unknown",
     "The question is unanswerable", "It is not mentioned.", "none", "impossible to say", ""],
)  # fmt: skip
def test_what_says_that_the_text_does_not_say_is_the_blank_answer(text: str) -> None:
    assert stated_answer(text, ITEM) == ""


@pytest.mark.parametrize(
    "text", ["nonetheless", "an unknown soldier", "Nothing Else Matters", "no"]
)
def test_what_only_sounds_like_a_refusal_is_an_answer(text: str) -> None:
    assert stated_answer(text, ITEM) == text
