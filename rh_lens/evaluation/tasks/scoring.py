"""Right or wrong, and how much: each score a function of the extracted answer and the item."""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TypeAlias

from rh_lens.checks import require_text
from rh_lens.evaluation.tasks.item import LETTERS, TaskItem, with_checks

TaskScore: TypeAlias = Callable[[str, TaskItem], float]
"""A number in [0, 1] for an extracted answer."""

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WRITTEN = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?(\s*/\s*[0-9]+)?")
# Characters of a number: nobody means a longer one.
_LONGEST = 100
_YES_NO = ("yes", "no", "noanswer")


def normalise_answer(text: str) -> str:
    """A text as the published evaluation of SQuAD compares it (Rajpurkar et al. 2016).

    In this order: small letters, ASCII punctuation out, the words a, an, the out, single spaces.
    "The U.S.A." is "usa"; "in-depth" is "indepth"; quotation marks beyond ASCII stay.

    Raises:
        TypeError: It is no text.

    Examples:
        >>> normalise_answer("The U.S.A.")
        'usa'
    """
    require_text("text", text, blank=True)
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


@with_checks("answer")
def exact_match(answer: str, item: TaskItem) -> float:
    """1 where the answer is one of the right ones after `normalise_answer`; else 0.

    Without right answers (SQuAD 2.0's unanswerable questions) the blank answer is the right one.

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> exact_match("The Otter.", TaskItem("1", "Who?", ("otter",)))
        1.0
    """
    said = normalise_answer(answer)
    return float(said in [normalise_answer(right) for right in item.answers or ("",)])


@with_checks("answer")
def token_f1(answer: str, item: TaskItem) -> float:
    r"""Harmonic mean of precision and recall over normalised words, of the best right answer.

    $2 p r / (p + r)$ with words counted with repeats (SQuAD). Where answer or right answer has no
    word, it is 1 if neither has, else 0 (SQuAD 2.0).

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> round(token_f1("a grey heron", TaskItem("1", "Who?", ("the heron",))), 2)
        0.67
    """
    return max(_f1(answer, right) for right in item.answers or ("",))


@with_checks("answer")
def hotpot_f1(answer: str, item: TaskItem) -> float:
    """`token_f1`, but 0 where one of both is "yes" or "no" and the other is something else.

    So HotpotQA's published evaluation has it (Yang et al. 2018, arXiv:1809.09600).

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> hotpot_f1("yes", TaskItem("1", "Is it?", ("no",)))
        0.0
    """
    said = normalise_answer(answer)
    rights = [normalise_answer(right) for right in item.answers or ("",)]
    return max(
        0.0 if said != right and (said in _YES_NO or right in _YES_NO) else _f1(said, right)
        for right in rights
    )


@with_checks("answer")
def same_number(answer: str, item: TaskItem) -> float:
    """1 where the answer is a right one as a number, exactly: 18 is 18.00, and 3/4 is 0.75.

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> same_number("3/4", TaskItem("1", "How much?", ("0.75",)))
        1.0
    """
    said = as_number(answer)
    return float(said is not None and said in [as_number(right) for right in item.answers])


@with_checks("answer")
def same_letter(answer: str, item: TaskItem) -> float:
    """1 where the letter is a right one; right answers may be letters or the choices themselves.

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> same_letter("B", TaskItem("1", "Where?", ("B",), choices=("Rome", "Paris")))
        1.0
    """
    right = {letter_of(one, item) for one in item.answers}
    return float(bool(answer) and answer.upper() in right)


@with_checks("answer")
def letter_of(answer: str, item: TaskItem) -> str:
    """The letter of a right answer: itself, or that of the choice it names.

    Raises:
        TypeError: An argument is of another type.
    """
    if answer in item.choices:
        return LETTERS[item.choices.index(answer)]
    return answer.strip().upper()


@with_checks("answer")
def contains_any(answer: str, item: TaskItem) -> float:
    """1 where a right answer stands in the text, letter for letter but for case and spaces.

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> contains_any("a violet otter", TaskItem("1", "Who?", ("otter", "heron")))
        1.0
    """
    return float(any(_plain(right) in _plain(answer) for right in item.answers))


@with_checks("answer")
def contains_all(answer: str, item: TaskItem) -> float:
    """Share of the wanted answers that stand in the text: RULER's string match (arXiv:2404.06654).

    Without wanted answers it is 1 for a blank text, else 0.

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> contains_all("a violet otter", TaskItem("1", "Who?", ("otter", "heron")))
        0.5
    """
    if not item.answers:
        return float(not answer.strip())
    return sum(_plain(part) in _plain(answer) for part in item.answers) / len(item.answers)


def as_number(text: str) -> Fraction | None:
    """The number that a text writes, exactly; None where it is none.

    Thousands commas, a currency sign in front, a per cent sign or a full stop after it are fine.
    """
    plain = unicodedata.normalize("NFKC", text).replace("−", "-").strip()
    plain = plain.lstrip("$€£¥ ").rstrip("%. ")
    plain = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", plain).replace("-$", "-")
    if len(plain) > _LONGEST or not _WRITTEN.fullmatch(plain):
        return None
    above, _, below = plain.partition("/")
    try:
        return Fraction(Decimal(above.strip())) / Fraction(below.strip() or 1)
    except (InvalidOperation, ZeroDivisionError, ValueError):
        return None


def _f1(answer: str, right: str) -> float:
    said, wanted = normalise_answer(answer).split(), normalise_answer(right).split()
    if not said or not wanted:
        return float(said == wanted)
    same = sum((Counter(said) & Counter(wanted)).values())
    return 2 * same / (len(said) + len(wanted))


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
