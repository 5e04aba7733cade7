"""From records to a task."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from rh_lens.checks import require_flag, require_type, require_whole_number, shown
from rh_lens.evaluation.tasks.extraction import (
    Extraction,
    choice_letter,
    final_answer,
    last_number,
)
from rh_lens.evaluation.tasks.item import TaskItem
from rh_lens.evaluation.tasks.record import Placed
from rh_lens.evaluation.tasks.scoring import TaskScore
from rh_lens.evaluation.tasks.task import Task
from rh_lens.evaluation.tasks.template import (
    ANSWER_ONLY,
    CHAIN,
    CHOICES,
    CHOICES_CHAIN,
    READING_CHAIN,
    TaskTemplate,
)

CHAIN_TOKENS = 256
"""Longest written way to an answer, in tokens."""
_CHAIN_STOP = ("\n\n", "\nQuestion:")


def as_task(
    name: str,
    placed: Iterator[Placed],
    template: TaskTemplate,
    extract: Extraction,
    scores: Mapping[str, TaskScore],
    *,
    limit: int | None = None,
    **parts: Any,
) -> Task:
    """A task of items that are read one after the other, each with its own id.

    Args:
        name: The task's name.
        placed: Its items, and where each stands.
        template: How they are asked.
        extract: How answers are read off.
        scores: How they are scored.
        limit: Most items; None: all.
        parts: Further parts of `Task`.

    Raises:
        TypeError: The limit is no whole number.
        ValueError: It is below 1, an item is malformed, or two have the same id.
    """
    if limit is not None:
        require_whole_number("limit", limit, at_least=1)
    found: dict[str, str] = {}
    items: list[TaskItem] = []
    for item, where in islice(placed, limit):
        if item.id in found:
            raise ValueError(
                f"Expected an id of its own in {where}; found {shown(item.id)}, which is also that "
                f"of {found[item.id]}. Rename or remove one."
            )
        found[item.id] = where
        items.append(item)
    if not items:
        raise ValueError(f"Expected items for {name}; found none. Give a file with questions.")
    return Task(name, tuple(items), template, extract, scores, **parts)


def with_chain(task: Task, *, chain: bool = True) -> Task:
    """The task asked for a written way to the answer, or for nothing but the answer.

    With a way: room for `CHAIN_TOKENS`, and the answer is what follows "the answer is" (numbers
    and letters by their own rules, texts by `final_answer`). Without: the task as it is; items that
    have neither a document nor choices are asked by `ANSWER_ONLY`.

    Args:
        task: A task that generates.
        chain: Whether a way is asked for.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The task chooses by log-probability.

    Examples:
        >>> task = load_own([{"question": "2 + 3?", "answers": "5"}])
        >>> with_chain(task).max_new_tokens > task.max_new_tokens
        True
    """
    require_type("task", task, Task, remedy="Make one with Task, or load_task.")
    require_flag("chain", chain)
    reads = any(item.context for item in task.items)
    if not chain:
        return task if reads or task.template is CHOICES else replace(task, template=ANSWER_ONLY)
    if task.answering == "choose":
        raise ValueError(
            "Expected task to generate its answers; found one that chooses by log-probability. "
            'Take answering="generate" for a chain.'
        )
    lettered = any(item.choices for item in task.items)
    kept = task.extract in (last_number, choice_letter)
    return replace(
        task,
        name=f"{task.name}-chain",
        template=READING_CHAIN if reads else CHOICES_CHAIN if lettered else CHAIN,
        extract=task.extract if kept else final_answer,
        max_new_tokens=max(task.max_new_tokens, CHAIN_TOKENS),
        stop=_CHAIN_STOP,
    )
