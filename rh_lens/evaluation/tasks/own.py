"""Items of one's own: JSON lines of context, question and answers."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rh_lens.evaluation.tasks.extraction import first_line, stated_answer
from rh_lens.evaluation.tasks.loading import as_task, with_chain
from rh_lens.evaluation.tasks.record import Placed
from rh_lens.evaluation.tasks.records import Source, named_by_text, read_records
from rh_lens.evaluation.tasks.scoring import exact_match, token_f1
from rh_lens.evaluation.tasks.task import Task
from rh_lens.evaluation.tasks.template import READING, READING_OR_NOT, TaskTemplate


def load_own(
    source: Source,
    *,
    chain: bool = False,
    template: TaskTemplate | None = None,
    limit: int | None = None,
) -> Task:
    """Items of JSON lines `{"context": ..., "question": ..., "answers": [...]}`, by F1.

    | field | |
    |---|---|
    | `question` | |
    | `answers` | a text or a list, each counts as right; `[]`: the text does not say it |
    | `context` | the document; may be missing |
    | `id`, `document` | names; default: the line's number, and the document's own text |
    | `chain` | a way to the answer, for worked examples; may be missing |

    Args:
        source: A file, or rows.
        chain: Whether a way to the answer is asked for.
        template: How items are asked; None: `READING`, or `READING_OR_NOT` where an item has no
            answer.
        limit: Most items, the first ones; None: all.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: An argument is of another type.
        ValueError: A record is malformed; the message names file and line.

    Examples:
        >>> row = {"context": "An otter swims.", "question": "Who swims?", "answers": "an otter"}
        >>> task = load_own([row])
        >>> task.items[0].answers, task.metric
        (('an otter',), 'f1')
    """
    scores = {"f1": token_f1, "exact": exact_match}
    task = as_task("own", _items(source), READING, first_line, scores, limit=limit)
    parts: dict[str, Any] = {}
    if not all(item.answers for item in task.items):
        parts = {"template": READING_OR_NOT, "extract": stated_answer}
    if template is not None:
        parts["template"] = template
    return with_chain(replace(task, **parts), chain=chain)


def _items(source: Source) -> Iterator[Placed]:
    for number, record in enumerate(read_records(source)):
        context = record.text("context", default="")
        document = record.text("document", default=named_by_text(context) if context else "")
        yield record.item(
            id=record.text("id", default=f"own-{number + 1}"),
            question=record.text("question").strip(),
            answers=record.texts("answers", "answer"),
            context=context,
            document=document,
            chain=record.text("chain", default=""),
        )
