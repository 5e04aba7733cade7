"""What the pictures share: colours, figures, axes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCORE_COLOURS = "magma_r"
"""Colour scale of scores, light to dark: most heads score 0 and stay light."""
RECALL_COLOURS = "cividis"
"""Colour scale of answers, dark to light: the brighter, the better."""
OUTLINE = "#0072b2"
"""Blue of what is outlined: dark enough beside light cells, no colour of the scale."""
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Colours of lines (Okabe and Ito 2008), which the colour-blind can tell apart."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""Shapes of points, so that lines differ without colour too."""
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
"""Dashes of lines, for the same reason."""


def new_figure(width: float, height: float) -> "Figure":
    """An empty matplotlib figure of this size in inches, whose parts make room for each other.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Expected matplotlib for a picture; found none. Install rh-lens[viz], or use summarise."
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def plotly_objects() -> Any:
    """Plotly's `graph_objects`.

    Raises:
        ImportError: plotly is not installed.
    """
    try:
        import plotly.graph_objects
    except ImportError as error:
        raise ImportError(
            "Expected plotly for a picture that answers the mouse; found none. Install "
            "rh-lens[viz], or use plot_heat_map."
        ) from error
    return plotly.graph_objects


def cell_size(
    n_rows: int, n_columns: int, *, wide: float, most: float, tall: float, least: float
) -> tuple[float, float]:
    """Width and height of cells that fit a width and a height, none larger than `most`.

    Square, unless that leaves all rows together, or all columns, less than `least`.
    """
    side = min(most, wide / n_columns, tall / n_rows)
    return max(side, least / n_columns), max(side, least / n_rows)


def write_numbers(axes: "Axes", values: Sequence[Sequence[float]], *, dark_is_low: bool) -> None:
    """The value of every cell of an image in it, black on light and white on dark."""
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            if value == value:
                is_dark = (value < 0.5) == dark_is_low
                axes.text(column, row, f"{value:.2f}".removesuffix(".00"), ha="center",
                          va="center", size=8, color="white" if is_dark else "black")  # fmt: skip
