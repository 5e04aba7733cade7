"""Recall against the size of the cache, as text and as a picture."""

from math import isnan
from typing import TYPE_CHECKING, Any

from rh_lens.checks import require_type
from rh_lens.uses import CompressionCurve
from rh_lens.views.drawing import DASHES, LINES, MARKERS, new_figure
from rh_lens.views.summarise import text_of
from rh_lens.views.terminal import table_text, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@text_of.register
def _(curve: CompressionCurve) -> str:
    n_needles = curve.answers["needle"].nunique()
    note = (
        f"{curve.answers['trial'].nunique()} prompts, {n_needles} needles (intervals are over "
        f"needles); all other groups see {curve.sink} first tokens and the last {curve.recent}."
    )
    metric = "" if curve.reading.empty else str(curve.reading["metric"].iloc[0])
    if metric:
        units = curve.reading["unit"].nunique()
        n_items = curve.reading["item"].nunique()
        note += f" {metric}: {n_items} questions about {units} documents (its intervals)."
    rows = [_cells(row, metric) for row in curve.summary().to_dict("records")]
    return f"{table_text(rows, n_keys=2)}\n\n{wrapped(note)}"


def _cells(row: dict[Any, Any], metric: str) -> dict[str, str]:
    """One row of the table."""
    cells = {
        "whole context in": row["strategy"],
        "share": f"{row['share']:.2f}",
        "cache": f"{row['n_bytes'] / 1e6:.2f} MB",
        "": f"{100 * row['of_full']:.0f} %",
        "recall [95 %]": f"{row['recall']:.2f} [{row['recall_low']:.2f}, {row['recall_high']:.2f}]",
    }
    if not isnan(row["perplexity"]):
        cells["perplexity"] = f"{row['perplexity']:.2f}"
    if metric:
        interval = f"[{row['reading_low']:.2f}, {row['reading_high']:.2f}]"
        cells[f"{metric} [95 %]"] = f"{row['reading']:.2f} {interval}"
    return cells


def plot_compression(curve: CompressionCurve) -> "Figure":
    """Picture of recall against the cache's size, a line for each way to choose the groups.

    Points are the shares; bars are intervals over needles. Sizes are of the whole cache, windows
    of all groups included, in percent of the largest.

    Args:
        curve: From `compression_curve`.

    Returns:
        A matplotlib figure; `savefig` writes it.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: The argument is of another type.

    Examples:
        >>> choices = {"shares": (0.0, 1.0), "recent": 32, "n_random": 1, "progress": False}
        >>> curve = compression_curve(model, new_prompts, scores.mean(), **choices)
        >>> plot_compression(curve).savefig("compression.png")
    """
    require_type("curve", curve, CompressionCurve, remedy="Take it from compression_curve.")
    figure = new_figure(5.0, 3.6)
    axes = figure.subplots()
    for place, (strategy, rows) in enumerate(curve.summary().groupby("strategy", sort=False)):
        rows = rows.sort_values("of_full")
        # A little to the side, so that equal sizes don't hide each other's bars.
        x, style = 100 * rows["of_full"] + place - 1, {"color": LINES[place], "ls": DASHES[place]}
        draws = int(rows["n_draws"].max())
        told = f"{strategy} ({draws} draws)" if draws > 1 else str(strategy)
        axes.vlines(x, rows["recall_low"], rows["recall_high"], color=LINES[place], lw=1)
        axes.plot(x, rows["recall"], marker=MARKERS[place], ms=5, label=told, **style)
    axes.set_xlabel("size of the KV cache, % of the whole one")
    axes.set_ylabel("needle recall")
    axes.set_xlim(0, 104)
    axes.set_ylim(-0.03, 1.03)
    axes.grid(axis="y", color="#e0e0e0", lw=0.6)
    figure.legend(loc="outside upper left", frameon=False, fontsize=8.5)
    return figure
