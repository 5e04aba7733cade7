"""An ablation curve as a picture."""

from typing import TYPE_CHECKING

import pandas as pd

from rh_lens.checks import shown
from rh_lens.evaluation import AblationCurve, AblationTables
from rh_lens.runs import StoredAblation
from rh_lens.views.ablation_text import match_name, require_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("C0", "C2", "C4", "C5", "C1")


def plot_curve(result: AblationCurve | AblationTables | StoredAblation) -> "Figure":
    """Picture of a metric against the number of silenced heads, top K beside controls.

    The top K with the interval over needles; for each kind of control the mean over draws with the
    range from the worst draw to the best. The Ks are side by side at equal distances. Figure 7 of
    Wu et al. 2024 (arXiv:2404.15574) shows the same for recall.

    Args:
        result: From `ablation_curve`, `ablation_tables` or `load_ablation`.

    Returns:
        A matplotlib figure; `savefig` writes it.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: An argument is of another type.
        ValueError: A table lacks a column.
    """
    curve, controls = _tables(result)
    require_curve(curve, controls)
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Expected matplotlib for a picture; found none. Install rh-lens[viz], or use summarise."
        ) from error
    figure = Figure(figsize=(5.5, 3.8), layout="constrained")
    axes = figure.subplots()
    places = {k: place for place, k in enumerate(curve["k"])}
    missing = []
    if controls is not None:
        untouched = float(curve.loc[curve["k"] == 0, "top"].iloc[0])
        for colour, match in zip(_COLOURS, controls["match"].unique(), strict=False):
            of_kind = controls[controls["match"] == match]
            _draw_controls(axes, of_kind, places, untouched, colour)
            missing += _missing(of_kind)
    at = list(places.values())
    axes.fill_between(at, curve["top_low"], curve["top_high"], color="C3", alpha=0.2)
    interval = (
        f"{100 * curve['level'].iloc[0]:g} % interval over {curve['n_needles'].iloc[0]} needles"
    )
    axes.plot(at, curve["top"], "o-", color="C3", label=f"top K by score ({interval})")
    axes.set_xticks(at, [str(k) for k in curve["k"]])
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("\n".join(["silenced heads", *missing]))
    axes.set_ylabel(f"needle {curve['metric'].iloc[0]}")
    figure.legend(loc="outside upper center", frameon=False)
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


def _draw_controls(
    axes: "Axes", controls: pd.DataFrame, places: dict[int, int], untouched: float, colour: str
) -> None:
    """Mean and range over draws, from the untouched model on."""
    drawn = controls[controls["n_draws"] > 0]
    at = [places[0], *(places[k] for k in drawn["k"])]
    lowest, mean, highest = (
        [untouched, *drawn[name]] for name in ("control_lowest", "control", "control_highest")
    )
    axes.fill_between(at, lowest, highest, color=colour, alpha=0.15)
    kind = match_name(controls["match"].iloc[0])
    axes.plot(at, mean, "s--", color=colour, label=f"random heads, {kind} (lowest to highest draw)")


def _missing(controls: pd.DataFrame) -> list[str]:
    """Why the controls end where they do."""
    without = [str(k) for k in controls.loc[controls["n_draws"] == 0, "k"]]
    if not without:
        return []
    kind = match_name(controls["match"].iloc[0])
    return [f"(K = {', '.join(without)}: too few other heads, {kind})"]
