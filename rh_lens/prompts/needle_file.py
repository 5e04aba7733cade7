"""Needles read from JSON lines, in the shapes that are published."""

import json
import re
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from rh_lens.checks import shown
from rh_lens.prompts.needle import Distractor, Needle
from rh_lens.prompts.text_file import existing_file


def default_needles() -> tuple[Needle, ...]:
    """The needles that come with the package: varied in form, their answers unguessable.

    Examples:
        >>> len(default_needles())
        12
        >>> default_needles()[0].answer
        'velvet comet eleven'
    """
    return _bundled("default_needles.jsonl")


def evaluation_needles() -> tuple[Needle, ...]:
    """Twelve more, about other things than `default_needles`, which heads are detected with.

    Heads found with some needles are then shown to matter for others.

    Examples:
        >>> len(evaluation_needles())
        12
        >>> {one.answer for one in evaluation_needles()} & {one.answer for one in default_needles()}
        set()
    """
    return _bundled("evaluation_needles.jsonl")


def load_needles(path: str | Path) -> tuple[Needle, ...]:
    """Needles of a JSONL file, one object a line, blank lines skipped.

    | field | key | |
    |---|---|---|
    | question | `question` | |
    | text | `text` or `needle` | |
    | answer | `answer` or `real_needle` | a list means that each counts as right |
    | distractors | `distractors` | list of objects with `text` and `answer`; may be missing |

    Further keys are ignored; whitespace at the ends of a field is removed, because published
    needles are wrapped in newlines. Of several answers, the first that is in the text is the
    one whose copies are counted. Where none does letter for letter, case may differ, if it then
    is in one place only: the needle has the text's own letters.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: The path is none.
        ValueError: The path is empty, the file is no UTF-8 text, a line is malformed (the
            message names file and line), or all are blank.

    Examples:
        >>> import json
        >>> from pathlib import Path
        >>> line = {"question": "Where is the key?", "text": "The key is here.", "answer": "here"}
        >>> _ = Path("needles.jsonl").write_text(json.dumps(line))
        >>> load_needles("needles.jsonl")[0].answer
        'here'
    """
    remedy = "Give the path of a file with one JSON object a line."
    path = existing_file("a JSONL file of needles", path, remedy=remedy)
    return _parse_lines(_read_utf8(path).splitlines(), source=shown(str(path), 300))


def _read_utf8(path: Path) -> str:
    content = path.read_bytes()
    # Text in UTF-8 has no zero bytes, and in UTF-16 every second byte of Latin text is one.
    encoding, remedy = ("UTF-16", "UTF-16LE") if b"\0" in content else ("", "LATIN1")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = remedy = "UTF-16"
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        encoding = encoding or f"{error.reason} at byte {error.start}"
    if encoding:
        raise ValueError(
            f"Expected a needle file in UTF-8; found {encoding} in {shown(str(path), 300)}. "
            f"Save it as UTF-8, such as with: iconv -f {remedy} -t UTF-8"
        )
    return text


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
    except (ValueError, RecursionError) as error:
        problem = str(error).partition(" (char")[0]
        raise ValueError(
            f"Expected a JSON object in {where}; found {line[:60]!r} ({problem[:200]}). Write one "
            "complete object a line."
        ) from error
    fields = _needle_fields(entry, where=where)
    try:
        answer, alternatives = _answer_in_text(fields["answer"], fields["text"])
        distractors = tuple(Distractor(**fact) for fact in fields["distractors"])
        return Needle(fields["question"], fields["text"], answer, alternatives, distractors)
    except ValueError as error:
        raise ValueError(f"Expected a needle in {where}; found a mistake. {error}") from error


def _needle_fields(entry: object, *, where: str) -> dict[str, Any]:
    """Fields of a line, stripped; `answer` a list."""
    found = entry if isinstance(entry, dict) else {}
    answer = "real_needle" if "real_needle" in found else "answer"
    text = "needle" if "needle" in found and not {"text", "answer"} <= found.keys() else "text"
    answers = found.get(answer)
    answers = answers if isinstance(answers, list) and answers else [answers]
    distractors = found.get("distractors", [])
    named = [found.get("question"), found.get(text), *answers]
    if not all(isinstance(value, str) for value in named) or not _are_facts(distractors):
        types = {key: type(value).__name__ for key, value in found.items()}
        raise ValueError(
            f"Expected texts in {where} under the keys question, text, answer (or question, "
            "needle, real_needle), and under distractors, if there, objects of text and answer; "
            f"found {shown(types) if types else type(entry).__name__}. Add or rename the keys."
        )
    return {
        "question": found["question"].strip(),
        "text": found[text].strip(),
        "answer": [value.strip() for value in answers],
        "distractors": [
            {key: fact[key].strip() for key in ("text", "answer")} for fact in distractors
        ],
    }


def _are_facts(distractors: object) -> bool:
    return isinstance(distractors, list) and all(
        isinstance(fact, dict) and all(isinstance(fact.get(key), str) for key in ("text", "answer"))
        for fact in distractors
    )


def _answer_in_text(answers: list[str], text: str) -> tuple[str, tuple[str, ...]]:
    """The answer whose copies count, in the text's own letters, and the other right answers."""
    there = [answer for answer in answers if answer in text]
    if there:
        return there[0], tuple(answer for answer in answers if answer != there[0])
    for answer in answers:
        # From every character on, so that places which overlap are counted apart.
        places = re.findall(f"(?=({re.escape(answer)}))", text, flags=re.IGNORECASE)
        if len(places) == 1 and answer:
            return places[0], tuple(other for other in answers if other != answer)
        if places and answer:
            raise ValueError(
                f"Expected the answer in one place of the needle's text; found {shown(answer)}, "
                f"but for case, in {len(places)}: {shown(places[:3])}. Write it as it is in "
                "the right one."
            )
    return answers[0], tuple(answers[1:])
