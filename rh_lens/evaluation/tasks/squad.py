"""SQuAD 1.1 and 2.0: questions about a paragraph, answered by words of it."""

from collections.abc import Iterator
from dataclasses import replace

from rh_lens.evaluation.tasks.extraction import first_line, stated_answer
from rh_lens.evaluation.tasks.loading import as_task
from rh_lens.evaluation.tasks.record import Placed, Record
from rh_lens.evaluation.tasks.records import Source, named_by_text, read_records
from rh_lens.evaluation.tasks.scoring import exact_match, token_f1
from rh_lens.evaluation.tasks.task import Task
from rh_lens.evaluation.tasks.template import READING, READING_OR_NOT


def load_squad(source: Source, *, limit: int | None = None) -> Task:
    """Extractive questions of SQuAD's JSON (Rajpurkar et al. 2016, 2018), F1 and exact match.

    The published nested file, or flat records with `id`, `context`, `question` and `answers`
    (texts, or an object with `text`). All questions about a paragraph have its document. Where a
    question has no answer (SQuAD 2.0), prompts allow "unanswerable", and saying so is right.

    Args:
        source: A file, `hf:OWNER/NAME:SPLIT@REVISION`, or rows.
        limit: Most items, the first ones; None: all.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: An argument is of another type.
        ValueError: A record is malformed; the message names file and line.

    Examples:
        >>> row = {"id": "1", "context": "An otter.", "question": "Who?", "answers": ["An otter"]}
        >>> load_squad([row]).items[0].answers
        ('An otter',)
    """
    scores = {"f1": token_f1, "exact": exact_match}
    task = as_task("squad", _items(source), READING, first_line, scores, limit=limit)
    if all(item.answers for item in task.items):
        return task
    return replace(task, template=READING_OR_NOT, extract=stated_answer)


def _items(source: Source) -> Iterator[Placed]:
    for record in read_records(source):
        if record.has("data"):
            for article in record.objects("data"):
                yield from _of_article(article)
        else:
            context = record.text("context")
            yield _item(record, context)


def _of_article(article: Record) -> Iterator[Placed]:
    for paragraph in article.objects("paragraphs"):
        context = paragraph.text("context")
        for question in paragraph.objects("qas"):
            yield _item(question, context)


def _item(record: Record, context: str) -> Placed:
    value = record.raw("answers")
    if isinstance(value, dict):
        answers = Record(value, record.where).texts("text")
    elif value and isinstance(value, list) and isinstance(value[0], dict):
        texts = [answer.text("text").strip() for answer in record.objects("answers")]
        answers = tuple(dict.fromkeys(text for text in texts if text))
    else:
        answers = record.texts("answers")
    return record.item(
        id=record.text("id"),
        question=record.text("question").strip(),
        answers=answers,
        context=context,
        document=named_by_text(context),
    )
