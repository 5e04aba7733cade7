"""A needle: a sentence to hide, the question about it, and the answer it holds."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path


@dataclass(frozen=True)
class Needle:
    """A sentence to hide in a haystack, with a question that only it answers.

    Args:
        question: Asked after the haystack.
        text: The sentence to hide, as it stands in running text.
        answer: The part of `text` that answers the question, character for character.

    Raises:
        ValueError: A field is empty or has whitespace at an end, or `answer` is not in `text`.
    """

    question: str
    text: str
    answer: str

    def __post_init__(self) -> None:
        for field in ("question", "text", "answer"):
            _check_field(field, getattr(self, field))
        if self.answer not in self.text:
            raise ValueError(
                f"Expected the answer inside the needle's text; found answer {self.answer!r} and "
                f"text {self.text!r}. Copy the answer from the text, capitals and spaces included."
            )

    @property
    def name(self) -> str:
        """Eight hexadecimal digits that stay the same as long as all three fields do."""
        content = json.dumps([self.question, self.text, self.answer], ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:8]

    @property
    def answer_characters(self) -> tuple[int, int]:
        """Half-open character span of the answer in `text`: its last occurrence.

        A needle says first what it is about and then the answer, so where the answer's
        characters also occur earlier (as in "Box 4 holds 4"), the last ones answer.
        """
        start = self.text.rindex(self.answer)
        return start, start + len(self.answer)


def default_needles() -> tuple[Needle, ...]:
    """The needles that come with the package: varied in form, their answers unguessable."""
    return _bundled("default_needles.jsonl")


def evaluation_needles() -> tuple[Needle, ...]:
    """Twelve more, about other things than `default_needles`, which heads are detected with.

    Heads found with some needles are then shown to matter for others.
    """
    return _bundled("evaluation_needles.jsonl")


def load_needles(path: str | Path) -> tuple[Needle, ...]:
    """Needles of a JSONL file, one object a line, blank lines skipped.

    Each object has the keys `question`, `text` and `answer`, or the published shape
    `question`, `needle` and `real_needle`. Further keys are ignored; whitespace at the ends of
    a field is removed, because published needles are wrapped in newlines.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is malformed (the message names file and line), or all are blank.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected a JSONL file of needles; found no file at {str(path)!r}. "
            "Give the path of a file with one JSON object a line."
        )
    return _parse_lines(path.read_text(encoding="utf-8-sig").splitlines(), source=str(path))


def _bundled(name: str) -> tuple[Needle, ...]:
    """Needles of a file of this package."""
    file = resources.files("rh_lens.prompts").joinpath(name)
    return _parse_lines(file.read_text(encoding="utf-8").splitlines(), source=name)


def _parse_lines(lines: Iterable[str], *, source: str) -> tuple[Needle, ...]:
    needles = tuple(
        _parse_line(line, where=f"{source}, line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    )
    if not needles:
        raise ValueError(
            f"Expected at least one needle in {source}; found only blank lines. "
            'Write one object a line: {"question": ..., "text": ..., "answer": ...}.'
        )
    return needles


def _parse_line(line: str, *, where: str) -> Needle:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{where}: expected a JSON object; found {line[:60]!r} ({error.msg}, column "
            f"{error.colno}). Write one complete object a line."
        ) from error
    fields = _needle_fields(entry, where=where)
    try:
        return Needle(**{name: value.strip() for name, value in fields.items()})
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _needle_fields(entry: object, *, where: str) -> dict[str, str]:
    found = entry if isinstance(entry, dict) else {}
    text, answer = ("needle", "real_needle") if "real_needle" in found else ("text", "answer")
    keys = {"question": "question", "text": text, "answer": answer}
    if not all(isinstance(found.get(key), str) for key in keys.values()):
        types = {key: type(value).__name__ for key, value in found.items()}
        raise ValueError(
            f"{where}: expected texts under the keys question, text, answer (or question, needle, "
            f"real_needle); found {types or type(entry).__name__}. Add or rename the keys."
        )
    return {field: found[key] for field, key in keys.items()}


def _check_field(field: str, value: str) -> None:
    if not value.strip():
        raise ValueError(
            f"Expected a needle with a non-empty {field}; found {value!r}. Write the {field}."
        )
    if value != value.strip():
        raise ValueError(
            f"Expected no whitespace at the ends of a needle's {field}; found {value!r}. "
            "Strip it: the space around a needle is chosen where the prompt is built."
        )
