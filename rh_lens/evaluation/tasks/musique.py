"""MuSiQue: questions that take several paragraphs, asked among paragraphs that don't help."""

from collections.abc import Iterator
from dataclasses import replace

from rh_lens.evaluation.tasks.extraction import first_line, stated_answer
from rh_lens.evaluation.tasks.loading import as_task
from rh_lens.evaluation.tasks.record import Placed, Record
from rh_lens.evaluation.tasks.records import Source, read_records
from rh_lens.evaluation.tasks.scoring import exact_match, token_f1
from rh_lens.evaluation.tasks.task import Task
from rh_lens.evaluation.tasks.template import READING, READING_OR_NOT


def load_musique(source: Source, *, limit: int | None = None) -> Task:
    """Multi-hop questions of MuSiQue's JSON lines (Trivedi et al. 2022, arXiv:2108.00573).

    All paragraphs are the document, supporting ones and distractors in their order, each under its
    title. The answer's aliases count as right. Unanswerable questions, which the full version has,
    are answered by saying so; their two versions have ids of their own, with `-unanswerable`. A
    decomposition with answers is the item's `chain`.

    Args:
        source: A file, `hf:OWNER/NAME:SPLIT@REVISION`, or rows.
        limit: Most items, the first ones; None: all.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: An argument is of another type.
        ValueError: A record is malformed; the message names file and line.

    Examples:
        >>> row = {
        ...     "id": "1",
        ...     "question": "Who swims?",
        ...     "answer": "an otter",
        ...     "answer_aliases": ["the otter"],
        ...     "answerable": True,
        ...     "paragraphs": [{"idx": 0, "title": "Lake", "paragraph_text": "An otter swims."}],
        ...     "question_decomposition": [],
        ... }
        >>> load_musique([row]).items[0].answers
        ('an otter', 'the otter')
    """
    scores = {"f1": token_f1, "exact": exact_match}
    task = as_task("musique", _items(source), READING, first_line, scores, limit=limit)
    if all(item.answers for item in task.items):
        return task
    return replace(task, template=READING_OR_NOT, extract=stated_answer)


def _items(source: Source) -> Iterator[Placed]:
    for record in read_records(source):
        paragraphs = [
            f"{one.text('title', default='')}\n{one.text('paragraph_text')}".strip()
            for one in record.objects("paragraphs")
        ]
        answerable = record.flag("answerable", True)
        answers = (record.text("answer").strip(), *record.texts("answer_aliases", default=()))
        yield record.item(
            id=record.text("id") + ("" if answerable else "-unanswerable"),
            question=record.text("question").strip(),
            answers=tuple(dict.fromkeys(answers)) if answerable else (),
            context="\n\n".join(paragraphs),
            chain=_chain(record) if answerable else "",
        )


def _chain(record: Record) -> str:
    """The single questions and their answers, as a way to the whole answer."""
    if not record.values.get("question_decomposition"):
        return ""
    steps = record.objects("question_decomposition")
    return " ".join(f"{one.text('question')}: {one.text('answer')}." for one in steps)
