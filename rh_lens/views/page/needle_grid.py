"""The section with the needle-in-a-haystack grid: answers by length and depth."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from rh_lens.views.page.cell_chart import CellChart
from rh_lens.views.page.content import PageContent
from rh_lens.views.page.heads import scale
from rh_lens.views.page.markup import element, folded, join, table
from rh_lens.views.page.section import Section
from rh_lens.views.page.words import count, number

_MAX_VALUES = 20


def needle_grid(content: PageContent) -> Section:
    """Mean recall at each length and depth."""
    answers = pd.DataFrame(
        {
            "context_length": [trial.prompt.context_length for trial in content.trials],
            "requested_depth": [trial.prompt.requested_depth for trial in content.trials],
            "recall": [trial.recall for trial in content.trials],
            "right": [trial.accepted for trial in content.trials],
        }
    )
    chart = grid_chart("grid", "Recall by context length and depth", answers)
    what = (
        "Each cell is the mean recall of the prompts with this context length and needle depth "
        "(the one asked for; 0 is the start of the text). The stronger the colour, the more of the "
        "answer was said."
    )
    html = join([element("p", what), scale(hatched=chart.has_gaps), chart.html, grid_table(chart)])
    return Section(
        "grid", "Where in the text it finds the needle", html, {"charts": {"grid": chart.data}}
    )


def grid_chart(name: str, label: str, answers: pd.DataFrame) -> CellChart:
    """Mean recall by depth (rows) and length (columns), each in at most 20 ranges.

    Args:
        name: Of the chart.
        label: What it shows.
        answers: A row an answer: `context_length`, `requested_depth`, `recall`, `right`.
    """
    lengths, columns = _ranges(answers["context_length"].to_numpy(float), "{:,.0f}")
    depths, rows = _ranges(answers["requested_depth"].to_numpy(float), "{:.2f}")
    cells: Any = answers.groupby([depths, lengths])[["recall", "right"]]
    mean = np.full((len(rows), len(columns)), np.nan)
    readouts = [
        f"{length} tokens, depth {depth} · no prompt" for depth in rows for length in columns
    ]
    for (row, column), cell in cells:
        mean[row, column] = cell["recall"].mean()
        readouts[row * len(columns) + column] = (
            f"{columns[column]} tokens, depth {rows[row]} · mean recall "
            f"{number(mean[row, column], 2)} · {int(cell['right'].sum()):,} of "
            f"{count(len(cell), 'prompt')} right"
        )
    return CellChart(
        name=name,
        label=label,
        values=mean,
        rows=rows,
        columns=columns,
        row_title="depth",
        column_title="context length in tokens",
        readouts=readouts,
    )


def grid_table(chart: CellChart) -> str:
    """The chart's numbers as a table."""
    rows = [
        [row, *(number(value, 3) for value in values)]
        for row, values in zip(chart.rows, chart.values.tolist(), strict=True)
    ]
    columns = ["depth", *(f"{column} tokens" for column in chart.columns)]
    return folded("The grid as a table", table(chart.label, columns, rows, class_="numbers"))


def _ranges(values: np.ndarray, form: str) -> tuple[np.ndarray, list[str]]:
    """For each value the number of its range, and the ranges' labels; few values are themselves."""
    distinct = np.unique(values)
    if len(distinct) <= _MAX_VALUES:
        labels = [form.format(value) for value in distinct]
        return np.searchsorted(distinct, values), labels
    ends = np.linspace(distinct[0], distinct[-1], _MAX_VALUES + 1)
    place = np.clip(np.searchsorted(ends, values, side="right") - 1, 0, _MAX_VALUES - 1)
    labels = [f"{form.format(low)}–{form.format(high)}" for low, high in pairwise(ends.tolist())]
    return place, labels
