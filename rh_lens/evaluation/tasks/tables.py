"""Tasks under silenced heads as tables: what is saved, printed and drawn."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import pandas as pd

from rh_lens.checks import require_number, require_type
from rh_lens.evaluation.tasks.chain_steps import chain_breaks, chain_steps
from rh_lens.evaluation.tasks.comparison import difference_in_differences
from rh_lens.evaluation.tasks.curve import TaskCurve
from rh_lens.representation import short_repr


@dataclass(frozen=True, eq=False)
class TaskTables:
    """Everything that curves of one or two ways of asking say; None where a table was not made.

    Args:
        curve: A row a way and K, as `TaskCurve.to_dataframe` has it, with a column `task` in front.
        controls: A row a way, K and kind of control.
        answers: A row a way, condition and item.
        heads: A row a condition: the heads that it silences.
        ways: A row a K, as `difference_in_differences` has it; with two ways only.
        steps: A row a step of a written way, as `chain_steps` has it.
        breaks: A row a K and kind, as `chain_breaks` has it.
    """

    curve: pd.DataFrame
    controls: pd.DataFrame | None = None
    answers: pd.DataFrame | None = None
    heads: pd.DataFrame | None = None
    ways: pd.DataFrame | None = None
    steps: pd.DataFrame | None = None
    breaks: pd.DataFrame | None = None

    __repr__ = short_repr

    def by_name(self) -> dict[str, pd.DataFrame]:
        """The tables that there are, by name."""
        tables = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: table for name, table in tables.items() if table is not None}


def task_tables(
    curve: TaskCurve, other: TaskCurve | None = None, *, margin: float = 0.05
) -> TaskTables:
    """Everything that one or two curves say, as tables.

    Args:
        curve: From `task_curve`; of two, the one with the written way.
        other: The same items asked in another way.
        margin: Largest change that does not matter, for the equivalence tests.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The margin is not between 0 and 1, or the curves share no items or heads.

    Examples:
        >>> choices = {"ks": [4], "n_controls": 0, "n_rankings": 1, "progress": False}
        >>> found = task_curve(model, example_task("qa", 4), heads, **choices)
        >>> type(task_tables(found)).__name__
        'TaskTables'
    """
    remedy = "Take it from task_curve."
    require_type("curve", curve, TaskCurve, remedy=remedy)
    if other is not None:
        require_type("other", other, TaskCurve, remedy=remedy)
    require_number("margin", margin, above=0, below=1)
    curves = {one.result.task.name: one for one in (curve, other) if one is not None}
    recorded = next((one for one in curves.values() if one.result.heads), None)
    return TaskTables(
        curve=_stacked({n: one.to_dataframe(margin=margin) for n, one in curves.items()}),
        controls=_stacked(
            {n: one.controls_to_dataframe(margin=margin) for n, one in curves.items()}
        ),
        answers=_stacked({n: one.answers for n, one in curves.items()}),
        heads=curve.plan.to_dataframe(),
        ways=difference_in_differences(curve, other, margin=margin) if other else None,
        steps=chain_steps(recorded.result) if recorded else None,
        breaks=chain_breaks(recorded) if recorded else None,
    )


def _stacked(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Tables of several ways below each other, each with its name in front."""
    named = [table.assign(task=name) for name, table in tables.items()]
    stacked = pd.concat(named, ignore_index=True)
    return stacked[["task", *[name for name in stacked.columns if name != "task"]]]
