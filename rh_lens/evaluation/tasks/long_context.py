"""LongBench and RULER: long documents, in the JSON lines that both publish."""

from collections.abc import Iterator

from rh_lens.evaluation.tasks.extraction import first_line, whole_text
from rh_lens.evaluation.tasks.loading import as_task
from rh_lens.evaluation.tasks.record import Placed
from rh_lens.evaluation.tasks.records import Source, named_by_text, read_records
from rh_lens.evaluation.tasks.scoring import contains_all, contains_any, exact_match, token_f1
from rh_lens.evaluation.tasks.task import Task
from rh_lens.evaluation.tasks.template import READING, WHOLE


def load_longbench(source: Source, *, limit: int | None = None) -> Task:
    """Questions of LongBench's JSON lines (Bai et al. 2024, arXiv:2308.14508) by their F1.

    `context`, `input` (the question) and `answers`; for its question-answering sets, of which F1
    is the published score. No document is cut: see `keep_fitting`.

    Args:
        source: A file, `hf:OWNER/NAME:CONFIG/SPLIT@REVISION`, or rows.
        limit: Most items, the first ones; None: all.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: An argument is of another type.
        ValueError: A record is malformed; the message names file and line.

    Examples:
        >>> row = {"_id": "1", "input": "Who swims?", "context": "It swims.", "answers": "It"}
        >>> load_longbench([row]).items[0].question
        'Who swims?'
    """
    scores = {"f1": token_f1, "exact": exact_match, "contains": contains_any}
    return as_task("longbench", _of_longbench(source), READING, first_line, scores, limit=limit)


def load_ruler(source: Source, *, limit: int | None = None) -> Task:
    """Prompts of RULER's JSON lines (Hsieh et al. 2024, arXiv:2404.06654) by their string match.

    `input` is the whole prompt, `outputs` are the texts that a right answer holds: the score is the
    share of them that it does hold.

    Args:
        source: A file, `hf:OWNER/NAME:CONFIG/SPLIT@REVISION`, or rows.
        limit: Most items, the first ones; None: all.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: An argument is of another type.
        ValueError: A record is malformed; the message names file and line.

    Examples:
        >>> row = {"index": 0, "input": "An otter swims. Who swims?", "outputs": ["otter"]}
        >>> load_ruler([row]).items[0].answers
        ('otter',)
    """
    scores = {"matched": contains_all, "any": contains_any}
    parts = {"max_new_tokens": 128, "stop": ()}
    placed = _of_ruler(source)
    return as_task("ruler", placed, WHOLE, whole_text, scores, limit=limit, **parts)


def _of_longbench(source: Source) -> Iterator[Placed]:
    for number, record in enumerate(read_records(source)):
        context = record.text("context")
        yield record.item(
            id=record.text("_id", "id", default=f"longbench-{number}"),
            question=record.text("input", "question").strip(),
            answers=record.texts("answers"),
            context=context,
            document=named_by_text(context),
        )


def _of_ruler(source: Source) -> Iterator[Placed]:
    for number, record in enumerate(read_records(source)):
        yield record.item(
            id=record.text("index", "id", default=f"ruler-{number}"),
            question="",
            answers=record.texts("outputs", "answer"),
            context=record.text("input"),
        )
