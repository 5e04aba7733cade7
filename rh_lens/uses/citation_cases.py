"""Questions about documents, with the one place that the answer is to be cited from."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, pairwise

import numpy as np
from jaxtyping import Int

from rh_lens.checks import require_list, require_seed, require_type, require_whole_number
from rh_lens.prompts import Haystack, Needle
from rh_lens.prompts.sentences import sentence_gaps
from rh_lens.representation import short_repr

CASE_KINDS = ("plain", "distractors", "echo", "contradiction", "unanswerable", "near miss")
"""What else is in the document: only prose; the needle's distractors, with other answers; one of
them that says the needle's answer of something else; the needle's sentence a second time with a
distractor's answer; prose only, and no needle; its distractors, and no needle."""
_WITHOUT_NEEDLE = ("unanswerable", "near miss")


@dataclass(frozen=True)
class CitationCase:
    """A question about a document.

    Args:
        kind: One of `CASE_KINDS`, `MEMORY_KINDS` or `QUESTION_KINDS`.
        document: The text.
        needle: What is asked for.
        answer_span: Half-open characters of the answer in its own sentence; None where the
            document has none.
    """

    kind: str
    document: str
    needle: Needle
    answer_span: tuple[int, int] | None

    __repr__ = short_repr


def citation_cases(
    haystack: Haystack,
    needles: Iterable[Needle],
    *,
    n_characters: int = 700,
    seed: int = 0,
) -> list[CitationCase]:
    """Six documents a needle, one of each kind, whose sentences stand in random places.

    Args:
        haystack: Prose around the needles.
        needles: Needles; one without distractors makes only the kinds that need none.
        n_characters: Least characters of prose in a document.
        seed: Seed of the places.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no needle, the haystack is shorter, or a number is out of range.

    Examples:
        >>> cases = citation_cases(haystack, evaluation_needles()[:1])
        >>> [(case.kind, case.answer_span is not None) for case in cases]
        [('plain', True), ('distractors', True), ('echo', True), ('contradiction', True),
         ('unanswerable', False), ('near miss', False)]
    """
    chosen = require_list("needles", needles, Needle, at_least=1)
    require_seed("seed", seed)
    generator = random.Random(seed)
    prose_around = stretches(haystack, n_characters, generator)
    cases = []
    for needle in chosen:
        prose = next(prose_around)
        for kind in CASE_KINDS:
            others = _others(kind, needle)
            if others is not None:
                hidden = [*others, *([] if kind in _WITHOUT_NEEDLE else [needle.text])]
                cases.append(hidden_case(kind, needle, hidden, prose, generator))
    return cases


def stretches(
    haystack: Haystack, n_characters: int, generator: random.Random
) -> Iterator[list[str]]:
    """Stretches of prose as lists of sentences, each from a random one on, without end.

    Args:
        haystack: The prose.
        n_characters: Least characters of each.
        generator: Draws where they begin.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The haystack is shorter, or the number is out of range.
    """
    require_type("haystack", haystack, Haystack, remedy="Make one with synthetic_haystack.")
    require_whole_number("n_characters", n_characters, at_least=1)
    text = " ".join(haystack.documents)
    if len(text) < n_characters:
        raise ValueError(
            f"Expected a haystack of {n_characters} characters or more; found {len(text)}. Pass a "
            "longer one, or lower n_characters."
        )
    gaps = sentence_gaps(text)
    return (_stretch(text, gaps, n_characters, generator) for _ in count())


def _stretch(
    text: str, gaps: Int[np.ndarray, "gap 2"], n_characters: int, generator: random.Random
) -> list[str]:
    """Whole sentences from a random one on."""
    starts = [0, *gaps[gaps[:, 1] <= len(text) - n_characters, 1].tolist()]
    first = generator.choice(starts)
    last = next(iter(gaps[gaps[:, 0] >= first + n_characters, 0].tolist()), len(text))
    inside = gaps[(gaps[:, 1] > first) & (gaps[:, 1] < last), 1].tolist()
    return [text[a:b].strip() for a, b in pairwise([first, *inside, last])]


def _others(kind: str, needle: Needle) -> list[str] | None:
    """Sentences beside the needle's; None where it has none for this kind."""
    if kind in ("plain", "unanswerable"):
        return []
    if not needle.distractors:
        return None
    if kind in ("distractors", "near miss"):
        return [one.text for one in needle.distractors]
    one = needle.distractors[0]
    if kind == "contradiction":
        start, stop = needle.answer_characters
        return [needle.text[:start] + one.answer + needle.text[stop:]]
    start, stop = one.answer_characters
    return [one.text[:start] + needle.answer + one.text[stop:]]


def hidden_case(
    kind: str,
    needle: Needle,
    hidden: Sequence[str],
    prose: Sequence[str],
    generator: random.Random,
) -> CitationCase:
    """A case whose document hides some sentences in random places among prose.

    Args:
        kind: What it is called.
        needle: What is asked for.
        hidden: The sentences; the needle's own is that with the answer.
        prose: The others, in order.
        generator: Draws the places.
    """
    sentences = list(prose)
    for one in hidden:
        sentences.insert(generator.randint(0, len(sentences)), one)
    document = " ".join(sentences)
    if needle.text not in hidden:
        return CitationCase(kind, document, needle, None)
    at = document.index(needle.text)
    start, stop = needle.answer_characters
    return CitationCase(kind, document, needle, (at + start, at + stop))
