"""GSM8K: word problems of small sums, with a written way or the answer alone."""

import re
from collections.abc import Iterator

from rh_lens.checks import shown
from rh_lens.evaluation.tasks.extraction import last_number
from rh_lens.evaluation.tasks.loading import as_task, with_chain
from rh_lens.evaluation.tasks.record import Placed
from rh_lens.evaluation.tasks.records import Source, read_records
from rh_lens.evaluation.tasks.scoring import as_number, same_number
from rh_lens.evaluation.tasks.task import Task
from rh_lens.evaluation.tasks.template import ANSWER_ONLY

# What the published chains write for a calculator: <<48/2=24>>.
_CALCULATOR = re.compile(r"<<[^<>]*>>")


def load_gsm8k(source: Source, *, chain: bool = True, limit: int | None = None) -> Task:
    """Word problems of GSM8K's JSON lines (Cobbe et al. 2021, arXiv:2110.14168), by their number.

    The answer is the number after `####`; what is before it, without the calculator's marks, is
    the item's `chain`. Right is who says the same number.

    Args:
        source: A file, `hf:OWNER/NAME:CONFIG/SPLIT@REVISION`, or rows.
        chain: Whether a way to the answer is asked for, or nothing but the answer.
        limit: Most items, the first ones; None: all.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: An argument is of another type.
        ValueError: A record is malformed; the message names file and line.

    Examples:
        >>> task = load_gsm8k([{"question": "What is 2 + 3?", "answer": "2 and 3 are 5. #### 5"}])
        >>> task.items[0].answers, task.items[0].chain
        (('5',), '2 and 3 are 5.')
    """
    scores = {"accuracy": same_number}
    task = as_task("gsm8k", _items(source), ANSWER_ONLY, last_number, scores, limit=limit)
    return with_chain(task, chain=chain)


def _items(source: Source) -> Iterator[Placed]:
    for number, record in enumerate(read_records(source)):
        way, mark, answer = record.text("answer").rpartition("####")
        if not mark or as_number(answer) is None:
            raise ValueError(
                f"Expected answer in {record.where} to end with #### and a number; found "
                f"{shown(record.text('answer')[-60:])}. Give GSM8K's file, or take --task own."
            )
        chain = " ".join(_CALCULATOR.sub("", way).split())
        yield record.item(
            id=record.text("id", default=f"gsm8k-{number}"),
            question=record.text("question").strip(),
            answers=(answer.strip(),),
            chain=chain,
        )
