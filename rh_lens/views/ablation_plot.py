"""An ablation curve as a picture."""

from typing import TYPE_CHECKING

import pandas as pd

from rh_lens.checks import shown
from rh_lens.evaluation import AblationCurve, AblationTables
from rh_lens.runs import StoredAblation
from rh_lens.views.ablation_text import match_name, require_curve
from rh_lens.views.drawing import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TOP = "#d55e00"
_CONTROLS = ("#0072b2", "#009e73", "#7a5195", "#555555", "#56b4e9")
_STYLES = ("s--", "^-.", "D:", "v--", "P-.")


def plot_curve(result: AblationCurve | AblationTables | StoredAblation) -> "Figure":
    """Picture of a metric against the number of silenced heads, top K beside controls.

    The top K with the interval over needles; for each kind of control the mean over draws, and a
    bar from the worst draw to the best. The Ks are side by side at equal distances; controls end
    where too few other heads are left to draw from, and the legend says so. Figure 7 of Wu et al.
    2024 (arXiv:2404.15574) shows the same for recall.

    Args:
        result: From `ablation_curve`, `ablation_tables` or `load_ablation`.

    Returns:
        A matplotlib figure; `savefig` writes it.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: An argument is of another type.
        ValueError: A table lacks a column.

    Examples:
        >>> plot_curve(curve).savefig("curve.png")
    """
    curve, controls = _tables(result)
    require_curve(curve, controls)
    figure = new_figure(5.0, 4.0)
    axes = figure.subplots()
    places = {k: place for place, k in enumerate(curve["k"])}
    percent, n_needles = f"{100 * curve['level'].iloc[0]:g} %", curve["n_needles"].iloc[0]
    told = f"top K by score (band: {percent} interval over {n_needles} needles)"
    draw_top(axes, curve, places, told)
    if controls is not None:
        untouched = float(curve.loc[curve["k"] == 0, "top"].iloc[0])
        for index, match in enumerate(controls["match"].unique()):
            draw_controls(axes, controls[controls["match"] == match], places, untouched, index)
    axes.set_ylabel(f"needle {curve['metric'].iloc[0]}")
    figure.legend(loc="outside upper left", frameon=False, fontsize=8.5)
    return figure


def _tables(result: object) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The curve and its controls."""
    if isinstance(result, AblationCurve):
        return result.to_dataframe(), result.controls_to_dataframe()
    if isinstance(result, StoredAblation):
        return _tables(result.tables)
    if isinstance(result, AblationTables):
        return result.curve, result.controls
    raise TypeError(
        f"Expected result to be an AblationCurve, AblationTables or StoredAblation; found "
        f"{shown(result)}. "
        "Take it from ablation_curve, ablation_tables or load_ablation."
    )


def draw_top(axes: "Axes", curve: pd.DataFrame, places: dict[int, int], told: str) -> None:
    """The top K with their interval, and the axes of a curve.

    Args:
        axes: Where to draw.
        curve: A row a K.
        places: Place of each K.
        told: What the legend says.
    """
    at = list(places.values())
    axes.fill_between(at, curve["top_low"], curve["top_high"], color=_TOP, alpha=0.2, lw=0)
    axes.plot(at, curve["top"], "o-", color=_TOP, lw=2, label=told, zorder=4)
    axes.set_xticks(at, [str(k) for k in curve["k"]])
    axes.set_xlim(-0.3, len(at) - 0.7)
    axes.set_ylim(-0.03, 1.03)
    axes.grid(axis="y", color="#e0e0e0", lw=0.6)
    axes.set_xlabel("silenced heads, K")


def draw_controls(
    axes: "Axes", controls: pd.DataFrame, places: dict[int, int], untouched: float, index: int
) -> None:
    """Mean over draws, from the untouched model on, and how far the draws lie apart."""
    drawn = controls[controls["n_draws"] > 0]
    # A little to the side, so that the bars of several kinds don't hide each other.
    aside = 0.09 * (index + 1)
    at = [places[0], *(places[k] + aside for k in drawn["k"])]
    colour, style = _CONTROLS[index % len(_CONTROLS)], _STYLES[index % len(_STYLES)]
    kind = match_name(controls["match"].iloc[0])
    told = f"random heads, {kind} (bar: lowest to highest draw){_end(controls)}"
    axes.plot(at, [untouched, *drawn["control"]], style, color=colour, ms=5, lw=1.2, label=told)
    axes.vlines(at[1:], drawn["control_lowest"], drawn["control_highest"], color=colour, lw=1.2)


def _end(controls: pd.DataFrame) -> str:
    """Why the controls end where they do."""
    without = [str(k) for k in controls.loc[controls["n_draws"] == 0, "k"]]
    return f";\n    K = {', '.join(without)}: too few such heads are left" if without else ""
