"""Tasks with heads silenced, as text."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from rh_lens.checks import require_table
from rh_lens.evaluation.tasks import TaskCurve, TaskTables, task_tables
from rh_lens.runs import StoredEvaluation
from rh_lens.views.ablation_text import band, match_name, p_text
from rh_lens.views.summarise import text_of
from rh_lens.views.terminal import table_text, wrapped

_CURVE = ("task", "k", "top", "top_low", "top_high", "change", "p_documents", "p_heads",
          "p_equivalent", "n_documents", "n_items", "metric", "level", "margin")  # fmt: skip


@text_of.register
def _(tables: TaskTables) -> str:
    remedy = "Take it from task_tables."
    require_table("curve", tables.curve, _CURVE, remedy=remedy)
    parts = [_curve(own) for _, own in tables.curve.groupby("task", sort=False)]
    if tables.controls is not None and len(tables.controls):
        parts.append(_controls(tables.controls))
    if tables.ways is not None:
        parts.append(_ways(tables.ways))
    if tables.breaks is not None and len(tables.breaks):
        parts.append(_breaks(tables.breaks))
    return "\n\n".join(parts)


@text_of.register
def _(curve: TaskCurve) -> str:
    return text_of(task_tables(curve))


@text_of.register
def _(stored: StoredEvaluation) -> str:
    return text_of(stored.tables)


def _curve(curve: pd.DataFrame) -> str:
    """One way of asking: the top K, what they change, and tests."""
    rows = curve.to_dict("records")
    first = rows[0]
    counted = f"{first['n_items']} items, {first['n_documents']} documents"
    told = [
        f"[{100 * first['level']:g} % interval over documents]; change: without silencing",
        "p documents: other documents would show no loss with these heads (one-sided)",
        "p heads: heads drawn in their place would do as much harm, corrected over all K",
        f"p same: the change is {first['margin']:g} or more, either way (two one-sided tests)",
    ]
    title = f"{first['task']}: {first['metric']} with the top K heads silenced ({counted})"
    return "\n".join([title, table_text([_top(row) for row in rows]), *map(wrapped, told)])


def _top(row: Mapping[Any, Any]) -> dict[str, str]:
    return {
        "K": str(row["k"]),
        "top K": band(row, "top"),
        "change": band(row, "change"),
        "p documents": p_text(row["p_documents"]),
        "p heads": p_text(row["p_heads"]),
        "p same": p_text(row["p_equivalent"]),
    }


def _controls(controls: pd.DataFrame) -> str:
    """Other heads beside the top K."""
    rows = [
        {
            "task": str(row["task"]),
            "K": str(row["k"]),
            "controls": match_name(row["match"]),
            "draws": str(row["n_draws"]),
            "score": band(row, "control"),
            "top - controls": band(row, "difference"),
            "p same": p_text(row["p_equivalent"]),
        }
        for row in controls.to_dict("records")
    ]
    notes = sorted({f"K {r['k']}: {r['note']}" for r in controls.to_dict("records") if r["note"]})
    text = "Random other heads silenced; p same: they change less than the margin"
    return "\n".join([text, table_text(rows, n_keys=2), *map(wrapped, notes)])


def _ways(ways: pd.DataFrame) -> str:
    """Does silencing hurt the first way more than the second?"""
    rows = [
        {
            "K": str(row["k"]),
            "first": f"{row['first_change']:.2f}",
            "second": f"{row['second_change']:.2f}",
            "difference": band(row, "difference"),
            "controls": band(row, "control"),
            "p first": p_text(row["p_first"]),
            "p second": p_text(row["p_second"]),
            "p heads": p_text(row["p_heads"]),
        }
        for row in ways.to_dict("records")
    ]
    told = (
        "difference: change of the first way less that of the second; p first (second): it loses "
        "more than the other, one-sided, over documents"
    )
    title = "First way of asking against the second: changes under the top K"
    return "\n".join([title, table_text(rows), wrapped(told)])


def _breaks(breaks: pd.DataFrame) -> str:
    """Which steps of an answer fail first."""
    rows = [
        {
            "K": str(row["k"]),
            "silenced": str(row["kind"]),
            "answers": str(row["n_answers"]),
            "broken": f"{row['broken']:.2f}",
            "first step": _number(row["first_step"]),
            "copies": _number(row["copies"]),
            "copies before": _number(row["copies_before"]),
        }
        for row in breaks.to_dict("records")
    ]
    told = (
        "broken: answers that are no longer said word for word; first step: where, from 0; copies: "
        "first failing steps that copy from the text; before: of the steps before them"
    )
    return "\n".join(["Where answers break", table_text(rows, n_keys=2), wrapped(told)])


def _number(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.2f}"
