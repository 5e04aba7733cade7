"""HotpotQA: questions that take two paragraphs, asked among paragraphs that don't help."""

from collections.abc import Iterator, Mapping
from typing import Any

from rh_lens.checks import shown
from rh_lens.evaluation.tasks.extraction import first_line
from rh_lens.evaluation.tasks.loading import as_task
from rh_lens.evaluation.tasks.record import Placed, Record
from rh_lens.evaluation.tasks.records import Source, read_records
from rh_lens.evaluation.tasks.scoring import exact_match, hotpot_f1
from rh_lens.evaluation.tasks.task import Task
from rh_lens.evaluation.tasks.template import READING


def load_hotpotqa(source: Source, *, limit: int | None = None) -> Task:
    """Multi-hop questions of HotpotQA's JSON (Yang et al. 2018, arXiv:1809.09600), with its F1.

    The published array, JSON lines, or the hub's rows. All paragraphs are the document, supporting
    ones and distractors in their order, each under its title.

    Args:
        source: A file, `hf:OWNER/NAME:SPLIT@REVISION`, or rows.
        limit: Most items, the first ones; None: all.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: An argument is of another type.
        ValueError: A record is malformed; the message names file and line.

    Examples:
        >>> paragraphs = [["Lake", ["An otter swims."]]]
        >>> row = {"_id": "1", "question": "Who?", "answer": "an otter", "context": paragraphs}
        >>> load_hotpotqa([row]).items[0].answers
        ('an otter',)
    """
    scores = {"f1": hotpot_f1, "exact": exact_match}
    return as_task("hotpotqa", _items(source), READING, first_line, scores, limit=limit)


def _items(source: Source) -> Iterator[Placed]:
    for record in read_records(source):
        yield record.item(
            id=record.text("_id", "id"),
            question=record.text("question").strip(),
            answers=(record.text("answer").strip(),),
            context="\n\n".join(_paragraphs(record)),
        )


def _paragraphs(record: Record) -> list[str]:
    """Each paragraph under its title; published as pairs, on the hub as two lists."""
    value = record.raw("context")
    pairs: Any = value
    if isinstance(value, Mapping):
        titles, texts = value.get("title"), value.get("sentences")
        both = isinstance(titles, list) and isinstance(texts, list)
        pairs = [list(pair) for pair in zip(titles or (), texts or (), strict=False)] if both else 0
    if not isinstance(pairs, list) or not pairs or not all(map(_is_paragraph, pairs)):
        raise ValueError(
            f"Expected context in {record.where} to be pairs of a title and its sentences; found "
            f"{shown(value)}. Give HotpotQA's distractor setting."
        )
    return [f"{title}\n{''.join(sentences)}".strip() for title, sentences in pairs]


def _is_paragraph(pair: Any) -> bool:
    return (
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and isinstance(pair[0], str)
        and isinstance(pair[1], list)
        and all(isinstance(sentence, str) for sentence in pair[1])
    )
