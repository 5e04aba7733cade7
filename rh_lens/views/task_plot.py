"""Tasks with heads silenced, as a picture."""

from typing import TYPE_CHECKING

import pandas as pd

from rh_lens.checks import require_table, require_type
from rh_lens.evaluation.tasks import TaskCurve, TaskTables, task_tables
from rh_lens.runs import StoredEvaluation
from rh_lens.views.ablation_plot import draw_controls, draw_top
from rh_lens.views.drawing import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_tasks(result: TaskCurve | TaskTables | StoredEvaluation) -> "Figure":
    """Picture of a task's score against the number of silenced heads: a panel a way of asking.

    As `plot_curve`: the top K with the interval over documents; for each kind of control the mean
    over draws, and a bar from the worst draw to the best.

    Args:
        result: From `task_curve`, `task_tables` or `load_evaluation`.

    Returns:
        A matplotlib figure; `savefig` writes it.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: An argument is of another type.
        ValueError: A table lacks a column.

    Examples:
        >>> choices = {"ks": [4], "n_controls": 0, "n_rankings": 1, "progress": False}
        >>> found = task_curve(model, example_task("qa", 4), heads, **choices)
        >>> plot_tasks(found).savefig("tasks.png")
    """
    kinds = (TaskCurve, TaskTables, StoredEvaluation)
    require_type("result", result, kinds, remedy="Take it from task_curve or load_evaluation.")
    tables = task_tables(result) if isinstance(result, TaskCurve) else result
    tables = tables.tables if isinstance(tables, StoredEvaluation) else tables
    needed = ("task", "k", "top", "top_low", "top_high", "metric", "level", "n_documents")
    require_table("curve", tables.curve, needed, remedy="Take it from task_tables.")
    names = list(tables.curve["task"].unique())
    figure = new_figure(4.4 * len(names) + 0.6, 4.2)
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        own = tables.curve[tables.curve["task"] == name]
        controls = tables.controls
        _draw(panel, own, None if controls is None else controls[controls["task"] == name])
        panel.set_title(f"{name} ({own['n_documents'].iloc[0]} documents)", fontsize=10)
    panels[0].set_ylabel(str(tables.curve["metric"].iloc[0]))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", frameon=False, fontsize=8.5)
    return figure


def _draw(axes: "Axes", curve: pd.DataFrame, controls: pd.DataFrame | None) -> None:
    """One way of asking."""
    places = {k: place for place, k in enumerate(curve["k"])}
    percent = f"{100 * curve['level'].iloc[0]:g} %"
    draw_top(axes, curve, places, f"top K by score (band: {percent} interval over documents)")
    if controls is not None:
        untouched = float(curve.loc[curve["k"] == 0, "top"].iloc[0])
        for index, match in enumerate(controls["match"].unique()):
            draw_controls(axes, controls[controls["match"] == match], places, untouched, index)
