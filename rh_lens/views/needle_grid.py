"""The needle-in-a-haystack grid: what was answered at each length and depth."""

from typing import TYPE_CHECKING

import pandas as pd

from rh_lens.checks import require_type
from rh_lens.detection import RetrievalResult, trial_table
from rh_lens.evaluation import RecallResult
from rh_lens.representation.heat_map_svg import tick_places
from rh_lens.runs import StoredRun
from rh_lens.views.drawing import RECALL_COLOURS, cell_size, new_figure, write_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_NUMBERS = 150


def plot_needle_grid(
    result: RecallResult | RetrievalResult | StoredRun,
    *,
    condition: str | None = None,
    metric: str | None = None,
) -> "Figure":
    """Picture of answers by context length (across) and depth (down, 0 is the beginning).

    Each cell is the mean over its needles, from 0 (dark) to 1 (bright), and written out where there
    is room. Needles are put between sentences, so that real depths differ from those asked for: the
    axis names both. White cells were not asked.

    Args:
        result: From `needle_recall`, whose metric is drawn; or of a detection run, of which the
            share of accepted answers is.
        condition: Of a recall; None takes the first.
        metric: "recall", "exact", "contains" or "retrieved", of a recall (None: "recall").

    Returns:
        A matplotlib figure.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: An argument is of another type.
        ValueError: There is no such condition or metric, or one is given for a detection run.

    Examples:
        >>> plot_needle_grid(result).savefig("grid.png")
    """
    if isinstance(result, RecallResult):
        condition = result.conditions[0] if condition is None else condition
        metric = "recall" if metric is None else metric
        grid = result.grid(condition, metric)  # type: ignore[arg-type]
        trials, title = result.answers, f"needle {metric}, condition {condition}"
    else:
        trials = _trials(result, condition, metric)
        grid = trials.astype({"accepted": float}).pivot_table(
            index="context_length", columns="requested_depth", values="accepted", aggfunc="mean"
        )
        title = "share of answers accepted"
    return _draw(grid.T, _real_depths(trials), title)


def _trials(
    result: RetrievalResult | StoredRun, condition: str | None, metric: str | None
) -> pd.DataFrame:
    """The trials of a detection run."""
    remedy = "Take it from needle_recall, detect_retrieval_heads or load_run."
    require_type("result", result, (RecallResult, RetrievalResult, StoredRun), remedy=remedy)
    if condition is not None or metric is not None:
        raise ValueError(
            f"Expected neither condition nor metric for a detection run; found {condition!r} and "
            f"{metric!r}. Leave them out: the share of accepted answers is drawn."
        )
    return trial_table(result.trials)


def _real_depths(trials: pd.DataFrame) -> pd.DataFrame:
    """Smallest and largest real depth for each depth that was asked for."""
    return trials.groupby("requested_depth")["depth"].agg(["min", "max"])


def _draw(grid: pd.DataFrame, real: pd.DataFrame, title: str) -> "Figure":
    n_depths, n_lengths = grid.shape
    width, height = cell_size(n_depths, n_lengths, wide=3.2, most=0.6, tall=3.4, least=0.4)
    height = min(height, 0.42)
    figure = new_figure(max(width * n_lengths, 1.5) + 2.4, max(height * n_depths, 0.9) + 1.2)
    axes = figure.subplots()
    image = axes.imshow(grid, cmap=RECALL_COLOURS, vmin=0, vmax=1, aspect="auto",
                        interpolation="nearest")  # fmt: skip
    _part_cells(axes, n_depths, n_lengths)
    if grid.size <= _MOST_NUMBERS and min(width, height) > 0.24:
        write_numbers(axes, grid.to_numpy().tolist(), dark_is_low=True)
    columns = tick_places(n_lengths, max(1, round(n_lengths * width / 0.5)))
    axes.set_xticks(columns, [f"{grid.columns[place]:,}" for place in columns])
    rows = tick_places(n_depths, max(1, round(n_depths * height / 0.2)))
    axes.set_yticks(rows, [_depth_label(grid.index[place], real) for place in rows])
    axes.set_xlabel("context length (tokens)")
    axes.set_ylabel("depth asked for (real)")
    figure.suptitle(title, x=0.02, ha="left", size=9)
    beside = 0.12 / (width * n_lengths)
    scale = axes.inset_axes((1 + beside, 0, beside, 1))
    figure.colorbar(image, cax=scale, ticks=[0, 0.5, 1])
    return figure


def _part_cells(axes: "Axes", n_rows: int, n_columns: int) -> None:
    """Thin lines between cells, or equal ones would flow together."""
    axes.set_xticks([place + 0.5 for place in range(n_columns - 1)], minor=True)
    axes.set_yticks([place + 0.5 for place in range(n_rows - 1)], minor=True)
    axes.grid(which="minor", color="white", lw=0.8)
    axes.tick_params(which="minor", length=0)


def _depth_label(asked: float, real: pd.DataFrame) -> str:
    low, high = (f"{real[end][asked]:.2f}" for end in ("min", "max"))
    return f"{asked:.2f} ({low if low == high else f'{low}-{high}'})"
