"""A needle: a sentence to hide, the question about it, and the answer it holds."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rh_lens.checks import require_list, shown
from rh_lens.prompts.text_file import require_characters

MAX_CHARACTERS = 10_000
"""Longest question, text or answer of a needle."""


@dataclass(frozen=True)
class Distractor:
    """A sentence in a needle's form about something else, with another answer.

    Args:
        text: The sentence, as it appears in running text.
        answer: The part of `text` that would be the answer if the question were about it,
            character for character.

    Raises:
        TypeError: A field is no string.
        ValueError: A field is empty or has whitespace at an end, or `answer` is not in `text`.
    """

    text: str
    answer: str

    def __post_init__(self) -> None:
        _check_fact("distractor", {"text": self.text, "answer": self.answer})

    @property
    def answer_characters(self) -> tuple[int, int]:
        """Half-open character span of the answer in `text`: its last occurrence."""
        return _last_place(self.answer, self.text)


@dataclass(frozen=True)
class Duplicate(Distractor):
    """A sentence that gives the needle's own answer once more, in another place.

    Args:
        text: As of a `Distractor`.
        answer: The needle's answer, or one of its alternatives.

    Raises:
        TypeError: A field is no string.
        ValueError: As for a `Distractor`.
    """

    def __post_init__(self) -> None:
        _check_fact("duplicate", {"text": self.text, "answer": self.answer})


@dataclass(frozen=True)
class Needle:
    """A sentence to hide in a haystack, with a question that only it answers.

    Args:
        question: Asked after the haystack.
        text: The sentence to hide, as it appears in running text.
        answer: The part of `text` that answers the question, character for character. Copies are
            counted from its tokens.
        alternatives: Further answers that count as right, such as "Feb 3" beside "3 February".
            They need not be in `text`, and heads that copy them from elsewhere score nothing.
        distractors: Sentences to hide beside the needle, with answers that are wrong, but for
            a `Duplicate`'s.

    Raises:
        TypeError: A field is no string, or of the last two no list.
        ValueError: A field is empty or has whitespace at an end, `answer` is not in `text`, or a
            distractor has a right answer.
    """

    question: str
    text: str
    answer: str
    alternatives: tuple[str, ...] = ()
    distractors: tuple[Distractor, ...] = ()

    def __post_init__(self) -> None:
        _check_fact("needle", {"question": self.question, "text": self.text, "answer": self.answer})
        _keep_as_tuple(self, "alternatives", str)
        _keep_as_tuple(self, "distractors", Distractor)
        for alternative in self.alternatives:
            _check_field("needle", "alternative answer", alternative)
        right = {answer.casefold() for answer in self.answers}
        for distractor in self.distractors:
            if distractor.answer.casefold() in right and not isinstance(distractor, Duplicate):
                raise ValueError(
                    f"Expected distractors with answers other than the needle's, {self.answers}; "
                    f"found {distractor.answer!r} in {distractor.text!r}. Change its answer, or "
                    "make it a Duplicate."
                )

    @property
    def answers(self) -> tuple[str, ...]:
        """Every answer that counts as right: `answer` first, then the alternatives."""
        return self.answer, *self.alternatives

    @property
    def name(self) -> str:
        """Eight hexadecimal digits that stay the same as long as all fields do."""
        content: list[Any] = [self.question, self.text, self.answer]
        if self.alternatives or self.distractors:
            content += [self.alternatives, [[d.text, d.answer] for d in self.distractors]]
        text = json.dumps(content, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def answer_characters(self) -> tuple[int, int]:
        """Half-open character span of the answer in `text`: its last occurrence.

        A needle says first what it is about and then the answer, so where the answer's
        characters also occur earlier (as in "Box 4 holds 4"), the last ones answer.
        """
        return _last_place(self.answer, self.text)


def beside(text: str, answer: str, answers: Iterable[str]) -> Distractor:
    """A sentence beside a needle with these right answers: a distractor, or a duplicate."""
    right = {one.casefold() for one in answers}
    return (Duplicate if answer.casefold() in right else Distractor)(text, answer)


def _last_place(answer: str, text: str) -> tuple[int, int]:
    start = text.rindex(answer)
    return start, start + len(answer)


def _keep_as_tuple(needle: Needle, field: str, kind: type) -> None:
    """Turn a list into a tuple, so that a needle can be hashed."""
    entries: Iterable[Any] = require_list(f"a needle's {field}", getattr(needle, field), kind)
    object.__setattr__(needle, field, tuple(entries))


def _check_fact(what: str, fields: dict[str, str]) -> None:
    for field, value in fields.items():
        _check_field(what, field, value)
    if fields["answer"] not in fields["text"]:
        raise ValueError(
            f"Expected the answer inside the {what}'s text; found answer "
            f"{shown(fields['answer'])} and text {shown(fields['text'], 300)}. Copy the "
            "answer from the text, capitals and spaces included."
        )


def _check_field(what: str, field: str, value: str) -> None:
    if not isinstance(value, str):
        raise TypeError(
            f"Expected a {what} with text as its {field}; found {shown(value)} "
            f"({type(value).__name__}). Pass a string."
        )
    if len(value) > MAX_CHARACTERS:
        raise ValueError(
            f"Expected a {what} with a {field} of {MAX_CHARACTERS:,} characters or fewer; found "
            f"{len(value):,}. Hide a sentence, and give long text as the haystack."
        )
    require_characters(f"a {what}'s {field}", value)
    if not value.strip():
        raise ValueError(
            f"Expected a {what} with a non-empty {field}; found {shown(value)}. Write the {field}."
        )
    if value != value.strip():
        raise ValueError(
            f"Expected no whitespace at the ends of a {what}'s {field}; found {shown(value)}. "
            "Strip it: the space around a needle is chosen where the prompt is built."
        )
