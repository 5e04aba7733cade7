"""Needles that could answer one another's question, and so can't share a haystack."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from rh_lens.checks import require_list
from rh_lens.prompts.needle import Needle
from rh_lens.representation import cut

# Words of a question that say nothing about what it asks for.
_EMPTY = frozenset(
    "a about always an and any are as at be been by can could did do does for from had has have "
    "how in into is it its may might must of on only or said say says shall should so than that "
    "the their then there these they this those to up was were what when where which who whom "
    "whose why will with would".split()
)
_WORD = re.compile(r"[^\W_]+")
# "keep" and "keeps" are one word: they differ in no more than an ending.
_ENDING, _STEM = 3, 4


@dataclass(frozen=True)
class Collision:
    """Two needles that can't share a haystack.

    Args:
        first: A needle.
        second: The other one.
        reason: Why.
    """

    first: Needle
    second: Needle
    reason: str

    def __str__(self) -> str:
        pair = " and ".join(
            f"{needle.name} ({cut(repr(needle.text), 60)})" for needle in (self.first, self.second)
        )
        return f"{pair}: {self.reason}"


def needle_collisions(needles: Iterable[Needle]) -> list[Collision]:
    """Pairs of needles of which one could answer the other's question.

    Two needles collide when

    1. they ask the same question, case and punctuation apart;
    2. a right answer of one stands in the other's text or in one of its distractors, as whole
       words (anywhere, where words are not set apart by spaces): a copy of it could come from
       either, and the answer "Walrus" is found in a needle that is about a walrus;
    3. the other's text, or a distractor of its, has all words of the question but the empty ones
       ("what", "the", "is" ...), which then is about this sentence too. Words are alike up to an
       ending of three letters. Questions without such words, as in languages that don't set
       words apart, collide by the first two rules only.

    Args:
        needles: Needles for one haystack.

    Returns:
        Each pair once, in the order of the needles, with the first rule that it breaks.

    Raises:
        TypeError: It is no list of needles.

    Examples:
        >>> same = Needle("Where is the key?", "The key is here.", "here")
        >>> [found.reason for found in needle_collisions([same, same])][:1]
        ['they ask the same question']
        >>> needle_collisions(default_needles())
        []
    """
    listed = require_list("needles", needles, Needle, remedy="Try default_needles().")
    return [
        Collision(first, second, reason)
        for first, second in combinations(listed, 2)
        if (reason := _reason(first, second))
    ]


def require_no_collisions(needles: Sequence[Needle], remedy: str) -> None:
    """Refuse needles for one haystack of which one could answer another's question.

    Raises:
        ValueError: There are such needles; the message names them.
    """
    if found := needle_collisions(needles):
        more = f"; and {len(found) - 3} more pairs" if len(found) > 3 else ""
        raise ValueError(
            "Expected needles of which none answers another's question; found "
            f"{'; '.join(map(str, found[:3]))}{more}. {remedy}"
        )


def _reason(first: Needle, second: Needle) -> str:
    if _words(first.question) == _words(second.question):
        return "they ask the same question"
    return next(_found(first, second), "") or next(_found(second, first), "")


def _found(asked: Needle, other: Needle) -> Iterator[str]:
    """Why the other needle could answer the first one's question."""
    texts = [other.text, *(distractor.text for distractor in other.distractors)]
    for answer in asked.answers:
        if any(_stands_in(answer, text) for text in texts):
            yield f"the answer {cut(repr(answer), 60)} stands in both"
    about = [word for word in _words(asked.question) if word not in _EMPTY]
    for text in texts:
        there = _words(text)
        if about and all(any(_alike(word, one) for one in there) for word in about):
            yield f"the question {cut(repr(asked.question), 60)} is about both"


def _stands_in(answer: str, text: str) -> bool:
    """Whether an answer is in a text, as whole words where words are set apart."""
    answer, text = answer.casefold(), text.casefold()
    if " " not in text:
        return answer in text
    return re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text) is not None


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _alike(one: str, other: str) -> bool:
    shorter, longer = sorted((one, other), key=len)
    is_stem = len(shorter) >= _STEM and len(longer) - len(shorter) <= _ENDING
    return one == other or (is_stem and longer.startswith(shorter))
