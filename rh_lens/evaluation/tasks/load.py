"""A task by its name and a file, as on a command line."""

from collections.abc import Callable
from typing import Any

from rh_lens.checks import require_choice, require_flag
from rh_lens.evaluation.tasks.gsm8k import load_gsm8k
from rh_lens.evaluation.tasks.hotpotqa import load_hotpotqa
from rh_lens.evaluation.tasks.loading import with_chain
from rh_lens.evaluation.tasks.long_context import load_longbench, load_ruler
from rh_lens.evaluation.tasks.mmlu import load_mmlu
from rh_lens.evaluation.tasks.musique import load_musique
from rh_lens.evaluation.tasks.own import load_own
from rh_lens.evaluation.tasks.records import Source
from rh_lens.evaluation.tasks.squad import load_squad
from rh_lens.evaluation.tasks.task import Task

TASKS: dict[str, Callable[..., Task]] = {
    "qa": load_squad,
    "musique": load_musique,
    "hotpotqa": load_hotpotqa,
    "gsm8k": load_gsm8k,
    "mmlu": load_mmlu,
    "longbench": load_longbench,
    "ruler": load_ruler,
    "own": load_own,
}
"""Loaders by the name of the task."""


def load_task(
    name: str, source: Source, *, chain: bool | None = None, limit: int | None = None
) -> Task:
    """The items of a file as a task of this name.

        load_task("gsm8k", "test.jsonl", chain=False, limit=100)

    Args:
        name: One of `TASKS`.
        source: A file, `hf:OWNER/NAME:SPLIT@REVISION`, or rows.
        chain: Whether a way to the answer is asked for (of MMLU, by generation), or nothing but
            the answer. None: as the task is usually asked, GSM8K with a way and the others without.
        limit: Most items, the first ones; None: all.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: An argument is of another type.
        ValueError: There is no such task, or a record is malformed; the message names file and
            line.

    Examples:
        >>> load_task("own", [{"question": "2 + 3?", "answers": "5"}]).name
        'own'
    """
    require_choice("name", name, TASKS)
    if chain is not None:
        require_flag("chain", chain)
    options: dict[str, Any] = {}
    if name == "gsm8k":
        options["chain"] = chain is not False
    if name == "mmlu" and chain:
        options["answering"] = "generate"
    task = TASKS[name](source, limit=limit, **options)
    if name == "gsm8k" or not chain:
        return task
    return with_chain(task)
