"""A picture of coloured cells: heads by layer, or answers by length and depth."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from rh_lens.representation import short_repr
from rh_lens.views.page.markup import Html, element, join

# Columns up to which a cell has room for its number, and on a phone.
_MAX_NUMBERED, _MAX_NUMBERED_ON_PHONE = 12, 7
_MAX_HEIGHT, _CELL = 560, (5, 30)
_LABELS = 24
# Rows and columns up to which lines between cells leave room for the cells.
_MAX_ROOMY = 24
_INKS = ((0.005, "nothing"), (0.48, "low"), (0.74, "middle"), (math.inf, "high"))


@dataclass(frozen=True, eq=False)
class CellChart:
    """Values between 0 and 1 as cells; a fixed scale, so that two charts can be compared.

    Args:
        name: Of the chart in the page.
        label: What a screen reader calls it.
        values: What the colours show; NaN is hatched, above 1 looks like 1.
        rows: Label of each row, from the top.
        columns: Label of each column.
        row_title: What the rows are.
        column_title: What the columns are.
        readouts: What is said of each cell, row by row.
        outlined: Cells with a frame, by their number, row by row.
        group: Columns between two vertical lines; 0 draws none.
        start: Cell that is told of at first.
    """

    name: str
    label: str
    values: Float[np.ndarray, "row column"]
    rows: Sequence[str]
    columns: Sequence[str]
    row_title: str
    column_title: str
    readouts: Sequence[str]
    outlined: frozenset[int] = frozenset()
    group: int = 0
    start: int = 0

    __repr__ = short_repr

    @property
    def has_gaps(self) -> bool:
        """Whether some cell has no value."""
        return bool(np.isnan(self.values).any())

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script reads."""
        n_rows, n_columns = self.values.shape
        return {"rows": n_rows, "cols": n_columns, "start": self.start, "texts": [*self.readouts]}

    @property
    def html(self) -> Html:
        """The picture with its axes, and a line that tells of the chosen cell."""
        n_rows = len(self.rows)
        cell = min(max(_MAX_HEIGHT // n_rows, _CELL[0]), _CELL[1])
        height = cell * n_rows
        picture = element(
            "svg",
            self._cells(),
            element("rect", class_="cursor"),
            class_=self._density,
            width="100%",
            height=height,
            aria_hidden="true",
            focusable="false",
        )
        axes = (_row_labels(self.rows, height), _column_labels(self.columns))
        plot = plot_frame(self.name, self.label, picture)
        return chart_frame(self, plot, axes, self.readouts[self.start])

    @property
    def _density(self) -> str | None:
        """How much room a cell has."""
        if max(self.values.shape) > _MAX_ROOMY:
            return "dense"
        return "many" if self.values.shape[1] > _MAX_NUMBERED_ON_PHONE else None

    def _cells(self) -> Html:
        n_rows, n_columns = self.values.shape
        wide, high = 100 / n_columns, 100 / n_rows
        numbered = n_columns <= _MAX_NUMBERED and n_rows <= _MAX_NUMBERED * 2
        parts = ['<rect class="zero" width="100%" height="100%"/>']
        for row, column in zip(*np.nonzero(self.values), strict=True):
            value = float(self.values[row, column])
            place = _box(column * wide, row * high, wide, high)
            parts.append(f"<rect {place} {_look(value)}/>")
        parts += [_line("x", k * wide) for k in range(1, n_columns)]
        parts += [_line("y", k * high) for k in range(1, n_rows)]
        if self.group > 1:
            ends = range(self.group, n_columns, self.group)
            parts += [_line("x", k * wide, "group") for k in ends]
        for index in sorted(self.outlined):
            row, column = divmod(index, n_columns)
            place = _box(column * wide, row * high, wide, high)
            parts.append(f'<rect class="framed" {place}/>')
        if numbered:
            parts += [
                _number(float(value), (column + 0.5) * wide, (row + 0.5) * high)
                for (row, column), value in np.ndenumerate(self.values)
            ]
        return Html("".join(parts))


def plot_frame(name: str, label: str, picture: Html) -> Html:
    """A picture that takes the focus, whose parts the arrow keys choose."""
    return element(
        "div",
        picture,
        class_="plot",
        role="application",
        aria_roledescription="chart",
        aria_label=f"{label}. Arrow keys move, the line below tells of what is chosen.",
        aria_describedby=f"{name}-readout",
        tabindex=0,
        data_chart=name,
    )


def chart_frame(
    chart: Any, plot: Html, axes: tuple[Html, Html], readout: str, legend: Html | None = None
) -> Html:
    """A picture between its axes, above the line that tells of the chosen part."""
    row_labels, column_labels = axes
    grid = element(
        "div",
        element("div", chart.row_title, class_="row-title"),
        row_labels,
        plot,
        element("div", element("div", column_labels, chart.column_title), class_="columns"),
        class_="chart",
    )
    line = element(
        "p", readout, class_="readout", id=f"{chart.name}-readout", role="status", translate="no"
    )
    return join([legend, grid, line])


def _box(x: float, y: float, width: float, height: float) -> str:
    return f'x="{x:.4g}%" y="{y:.4g}%" width="{width:.4g}%" height="{height:.4g}%"'


def _look(value: float) -> str:
    if np.isnan(value):
        return 'class="unseen"'
    return f'class="cell" fill-opacity="{min(max(value, 0), 1):.3g}"'


def _line(axis: str, at: float, kind: str = "gap") -> str:
    across = 'y1="0" y2="100%"' if axis == "x" else 'x1="0" x2="100%"'
    return f'<line class="{kind}" {axis}1="{at:.4g}%" {axis}2="{at:.4g}%" {across}/>'


def _number(value: float, x: float, y: float) -> str:
    if np.isnan(value):
        return ""
    # Black and white ink can be told from both sides of the middle; which is better at the middle
    # depends on the colours, light or dark.
    kind = next(name for limit, name in _INKS if value < limit)
    shown = f"{value:.2f}" if value else "0"
    return f'<text class="{kind}" x="{x:.4g}%" y="{y:.4g}%" dy="0.35em">{shown}</text>'


def _row_labels(labels: Sequence[str], height: int) -> Html:
    """Labels beside the rows, as many as fit."""
    every = -(-len(labels) * 14 // height)
    shown = "".join(
        f'<text x="100%" y="{100 * (k + 0.5) / len(labels):.4g}%" dy="0.35em">{label}</text>'
        for k, label in enumerate(_escaped(labels))
        if k % every == 0
    )
    wide = 8 + 7 * max(map(len, labels))
    return element("svg", Html(shown), class_="rows", width=wide, height=height, aria_hidden="true")


def _column_labels(labels: Sequence[str]) -> Html:
    """Labels below the columns, as many as fit on a phone."""
    every = -(-len(labels) * max(map(len, labels)) // _LABELS)
    shown = "".join(
        f'<text x="{100 * (k + 0.5) / len(labels):.4g}%" y="14">{label}</text>'
        for k, label in enumerate(_escaped(labels))
        if k % every == 0
    )
    return element("svg", Html(shown), class_="labels", height=18, width="100%", aria_hidden="true")


def _escaped(labels: Sequence[str]) -> list[str]:
    return [join([label]) for label in labels]
