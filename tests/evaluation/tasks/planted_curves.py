"""Curves of answers made by hand: what is said with each set of heads silenced."""

from collections.abc import Callable
from typing import Any

import torch

from rh_lens.evaluation import KeptAnswer, plan_ablation
from rh_lens.evaluation.tasks import (
    ANSWER_ONLY,
    Task,
    TaskCurve,
    TaskItem,
    last_number,
    same_number,
    task_prompts,
)
from rh_lens.evaluation.tasks.result import result_of
from rh_lens.runtime import Generation

RANKING = ["L1H1", "L1H2"]


def sums(n: int, per_document: int = 1) -> tuple[TaskItem, ...]:
    """Items whose answers are their own numbers, some of each document."""
    return tuple(
        TaskItem(f"i{at}", f"{at}?", (str(at),), document=f"d{at // per_document}")
        for at in range(n)
    )


def planted_curve(
    model: Any,
    is_right: Callable[[str, int], bool],
    *,
    items: tuple[TaskItem, ...],
    name: str = "sums",
    n_rankings: int = 5,
) -> TaskCurve:
    """A curve in which each item is right or wrong as `is_right(kind, place)` says.

    Kinds of sets are "none", "top", "control" and "drawn".
    """
    task = Task(name, items, ANSWER_ONLY, last_number, {"accuracy": same_number})
    plan = plan_ablation(
        model, RANKING, ks=[0, 2], n_controls=1, n_rankings=n_rankings, family="layer"
    )
    kinds = {heads.condition: heads.kind for heads in reversed(plan.sets)}
    kept = {
        (condition, place): said(str(place) if is_right(kind, place) else "-1")
        for condition, kind in kinds.items()
        for place in range(len(items))
    }
    return TaskCurve(result_of(task, task_prompts(model.tokenizer, task), kept), plan)


def said(text: str) -> KeptAnswer:
    """An answer that says a text."""
    return KeptAnswer(Generation(torch.tensor([3]), text, "eos", (3, 1), 1))
