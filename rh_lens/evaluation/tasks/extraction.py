"""The answer in what a model said: each rule a function of the text and the item."""

import re
import unicodedata
from collections.abc import Callable
from typing import TypeAlias

from rh_lens.evaluation.tasks.item import LETTERS, TaskItem, with_checks

Extraction: TypeAlias = Callable[[str, TaskItem], str]
"""The answer in a generated text, blank where there is none."""

# What announces an answer: "The answer is", "Final answer:", "#### 72".
_IS = re.compile(r"\b(?:answer|option|choice)(?:\s+is\b|\s*:)|####", re.IGNORECASE)
# A number: not inside a word (x2, CO2), its sign not a minus between two numbers (12-5).
_NUMBER = re.compile(
    r"(?<![^\W_])(?<![0-9]\.)(?:(?<![\w)])[-+])?[$€£¥]?"
    r"(?P<digits>[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?(?!,?[0-9])"
    r"|[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|(?<!\.)\.[0-9]+)"
    r"(?:\s?/\s?(?P<below>[0-9]+)(?![0-9,./]))?"
)
# Behind a letter: it is none that begins "a heron"; "A because it is" is fine.
_NO_ARTICLE = r"(?:(?<![aA])|(?!\s+[a-z])|(?=\s+(?:because|since|as|and|but|is)\b))"
_UNSTATED = re.compile(
    r"^\W*(?:(?:the )?(?:question|answer|it) (?:is|cannot be|can't be|can not be) )?"
    r"(?:unanswerable|no answer|not (?:stated|mentioned|given|answerable|said|specified|answered)"
    r"|impossible to (?:answer|say|tell)|unknown|n/a|none)\b",
    re.IGNORECASE,
)


@with_checks("text")
def first_line(text: str, item: TaskItem) -> str:
    """The first line that is not blank, without spaces around it: what extractive answers are.

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> print(first_line(" an otter", TaskItem("1", "Who?", ())))
        an otter
    """
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


@with_checks("text")
def whole_text(text: str, item: TaskItem) -> str:
    """All that was said, without spaces around it.

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> whole_text(" an otter. ", TaskItem("1", "Who?", ()))
        'an otter.'
    """
    return text.strip()


@with_checks("text")
def stated_answer(text: str, item: TaskItem) -> str:
    """The first line; blank where it says that the document does not state the answer.

    "Unanswerable.", "No answer", "not stated in the text", "N/A" and their like at its beginning
    are an answer of their own, which SQuAD 2.0 writes as the empty text.

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> stated_answer("Not stated in the text.", TaskItem("1", "Who?", ()))
        ''
    """
    line = first_line(text, item)
    return "" if _UNSTATED.match(line) else line


@with_checks("text")
def final_answer(text: str, item: TaskItem) -> str:
    """What follows the last "answer is", "answer:" or "####", to the end of its sentence.

    Without such a word: the last line that is not blank. A full stop ends a sentence where a space,
    a quotation mark or nothing follows it, so that "3.5" and "U.S.A" are whole.

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> final_answer("So the answer is 3.5 metres. Done.", TaskItem("1", "How deep?", ()))
        '3.5 metres'
    """
    text = unicodedata.normalize("NFKC", text)
    marks = list(_IS.finditer(text))
    if not marks:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else ""
    rest = text[marks[-1].end() :].lstrip(" :\n\t")
    rest = rest.splitlines()[0] if rest else ""
    return re.split(r"(?<=\w\w)\.(?=[\s\"'”)]|$)|(?<=\d)\.(?=\s|$)", rest)[0].strip(" *\"'“”.")


@with_checks("text")
def last_number(text: str, item: TaskItem) -> str:
    r"""The first number after the last "answer is" or "####"; without one, the last number said.

    | text | number |
    |---|---|
    | `... = 1,234.50` | `1234.50` |
    | `she has $18 left` | `18` |
    | `12-5=7` | `7` |
    | `The answer is 72, as 8 * 9 is 72.` | `72` |
    | `about 3/4 of it` | `3/4` |
    | `5 tons of CO2` | `5`: digits inside a word are no number |
    | `１２` | `12` |
    | `1,5` | `5`: a comma is no decimal point |

    Returns:
        Its digits, without thousands commas, currency and unit; blank where there is none.

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> last_number("She has $1,234.50 left.", TaskItem("1", "How much?", ()))
        '1234.50'
    """
    text = unicodedata.normalize("NFKC", text).replace("−", "-").replace("–", "-")
    marks = list(_IS.finditer(text))
    if marks and (after := _NUMBER.search(text, marks[-1].end())):
        return _digits(after)
    numbers = list(_NUMBER.finditer(text))
    return _digits(numbers[-1]) if numbers else ""


def _digits(match: "re.Match[str]") -> str:
    sign = "-" if match[0].startswith("-") else ""
    below = f"/{match['below']}" if match["below"] else ""
    return sign + match["digits"].replace(",", "") + below


@with_checks("text")
def choice_letter(text: str, item: TaskItem) -> str:
    """The letter that was chosen, by the first of these rules that finds one; blank where none.

    1. The letter that directly follows the last "answer is", "answer:" or "option is":
       "The answer is (B)", "Answer: **b**.".
    2. The text begins with a letter that stands alone: "B", "B. Paris", "(b) Paris".
       An article is none: "A heron".
    3. One letter, and no other, stands in brackets: "It must be (C)."
    4. One choice, and no other, stands in the text, letter for letter but for case.
    5. One capital letter, and no other, stands alone, and is no "A" or "I" before a word in small
       letters.

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> item = TaskItem("1", "Where?", ("B",), choices=("Rome", "Paris"))
        >>> choice_letter("The answer is (B).", item)
        'B'
    """
    letters = LETTERS[: len(item.choices)] or LETTERS[:4]
    text = unicodedata.normalize("NFKC", text).strip()
    alone = f"[{letters}{letters.lower()}]"
    ends = r"(?=$|[\s.,:;)\]*\"'’”!?])"
    marks = list(_IS.finditer(text))
    if marks:
        after = re.match(rf"[\s:(\[*\"'“]*({alone}){ends}{_NO_ARTICLE}", text[marks[-1].end() :])
        if after:
            return after[1].upper()
    begins = re.match(rf"[(\[*\"'“]*({alone})(?:$|[.,:;)\]*\"'”!?]|\s*\n)", text)
    bracketed = {found.upper() for found in re.findall(rf"[(\[]({alone})[)\]]", text)}
    if begins and bracketed <= {begins[1].upper()}:
        return begins[1].upper()
    if len(bracketed) == 1:
        return bracketed.pop()
    named = _named(text, item)
    if named:
        return named
    capital = set(re.findall(rf"(?<![\w'’])([{letters}])(?![\w'’]|\s+[a-z])", text))
    return capital.pop() if len(capital) == 1 else ""


def _named(text: str, item: TaskItem) -> str:
    """The letter of the only choice whose words are in a text; one inside another is none."""
    said = " ".join(["", *re.findall(r"\w+", text.casefold()), ""])
    words = [" ".join(re.findall(r"\w+", choice.casefold())) for choice in item.choices]
    found = [place for place, one in enumerate(words) if one and f" {one} " in said]
    found = [p for p in found if not any(p != q and words[p] in words[q] for q in found)]
    return LETTERS[found[0]] if len(found) == 1 else ""
