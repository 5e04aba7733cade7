"""Answers too short for a run of tokens to show where they came from: names, numbers, two words."""

import re
from collections.abc import Iterable, Sequence

from rh_lens.evaluation.repetition import FUNCTION_WORDS, words_of

_NAME = re.compile(r"(?<=[\w,;] )[^\W\d_]\w*")


def is_said(words: Sequence[str], text: Sequence[str]) -> bool:
    """Whether words stand in a row in others; no words stand nowhere."""
    return bool(words) and f" {' '.join(words)} " in f" {' '.join(text)} "


def without_function_words(words: Sequence[str]) -> list[str]:
    """The words from the first to the last that is no `FUNCTION_WORDS`."""
    places = [place for place, word in enumerate(words) if word not in FUNCTION_WORDS]
    return list(words[places[0] : places[-1] + 1]) if places else []


def said_answer(text: str, answers: Iterable[str]) -> str | None:
    """The longest of some answers that a text says in full, or None."""
    words = words_of(text)
    said = [answer for answer in answers if is_said(_core(answer), words)]
    return max(said, key=len, default=None)


def stands_in_full(text: str, haystack: Sequence[str], names: frozenset[str]) -> bool:
    """Whether all that a text says stands in a row in the haystack, and by more than chance.

    Function words at its ends do not count. One ordinary word may stand anywhere, so it takes two
    words, or a name or a number.

    Args:
        text: An answer.
        haystack: Words of the haystack, from `words_of`.
        names: The haystack's names, from `names_of`.
    """
    core = without_function_words(words_of(text))
    # In scripts without spaces every character is a word, and two make one.
    weight = sum(0.5 if len(word) == 1 else 1.0 for word in core)
    is_special = any(len(w) > 1 and (w in names or not w.isalpha()) for w in core)
    return (weight >= 2 or is_special) and is_said(core, haystack)


def names_of(text: str) -> frozenset[str]:
    """Words without case that begin with a capital inside sentences, and nowhere without."""
    inside = set(_NAME.findall(text))
    return frozenset(
        word.casefold() for word in inside if word[0].isupper() and word.casefold() not in inside
    )


def _core(answer: str) -> list[str]:
    """The words by which an answer is recognised."""
    words = words_of(answer)
    return without_function_words(words) or words
