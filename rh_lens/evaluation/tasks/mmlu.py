"""MMLU: lettered questions about what a model knows, without any document."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rh_lens.checks import require_choice, shown
from rh_lens.evaluation.tasks.extraction import choice_letter
from rh_lens.evaluation.tasks.item import LETTERS
from rh_lens.evaluation.tasks.loading import as_task
from rh_lens.evaluation.tasks.record import Placed, Record
from rh_lens.evaluation.tasks.records import Source, read_csv, read_records
from rh_lens.evaluation.tasks.scoring import same_letter
from rh_lens.evaluation.tasks.task import Answering, Task
from rh_lens.evaluation.tasks.template import CHOICES


def load_mmlu(source: Source, *, answering: Answering = "choose", limit: int | None = None) -> Task:
    """Lettered questions of MMLU (Hendrycks et al. 2021, arXiv:2009.03300), by their letter.

    The published CSV files: question, choices, the right letter, without a head line (one is left
    out). Or records with `question`, `choices` and `answer`, a letter or a place from 0.

    Args:
        source: A CSV file, another file, `hf:OWNER/NAME:CONFIG/SPLIT@REVISION`, or rows.
        answering: "choose": the letter with the highest log-probability; "generate": the letter in
            what is said.
        limit: Most items, the first ones; None: all.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: An argument is of another type.
        ValueError: A record is malformed; the message names file and line.

    Examples:
        >>> row = {"question": "Where?", "choices": ["Rome", "Paris", "Oslo", "Bonn"], "answer": 1}
        >>> load_mmlu([row]).items[0].answers
        ('B',)
    """
    require_choice("answering", answering, ("choose", "generate"))
    is_csv = isinstance(source, str | Path) and str(source).lower().endswith(".csv")
    placed = _of_csv(source) if is_csv else _of_records(source)
    parts: dict[str, Any] = {"max_new_tokens": 8, "answering": answering}
    scores = {"accuracy": same_letter}
    return as_task("mmlu", placed, CHOICES, choice_letter, scores, limit=limit, **parts)


def _of_csv(source: Any) -> Iterator[Placed]:
    for number, (row, where) in enumerate(read_csv(source)):
        if not number and [cell.strip().lower() for cell in row][-1:] == ["answer"]:
            continue
        question, *choices, answer = row if len(row) >= 4 else ("", "")
        letters = LETTERS[: len(choices)]
        if answer.strip() not in letters or len(answer.strip()) != 1:
            raise ValueError(
                f"Expected a question, its choices and the right letter in {where}; found "
                f"{shown(row)}. Give a CSV file of MMLU."
            )
        yield Record({}, where).item(
            id=f"{Path(source).stem}-{number}",
            question=question.strip(),
            answers=(answer.strip(),),
            choices=tuple(choice.strip() for choice in choices),
        )


def _of_records(source: Source) -> Iterator[Placed]:
    for number, record in enumerate(read_records(source)):
        choices = record.raw("choices")
        if not isinstance(choices, list | tuple) or len(choices) < 2:
            raise ValueError(
                f"Expected choices in {record.where} to be two texts or more; found "
                f"{shown(choices)}. Write them as a list."
            )
        texts = tuple(str(choice).strip() for choice in choices)
        answer = record.text("answer").strip()
        letters = LETTERS[: len(texts)]
        if answer.isdecimal() and int(answer) < len(texts):
            answer = letters[int(answer)]
        if len(answer) != 1 or answer not in letters:
            raise ValueError(
                f"Expected answer in {record.where} to be a letter of {letters} or a place from 0 "
                f"to {len(texts) - 1}; found {shown(answer)}. Write the right choice's letter."
            )
        yield record.item(
            id=record.text("id", default=f"mmlu-{number}"),
            question=record.text("question").strip(),
            answers=(answer,),
            choices=texts,
        )
