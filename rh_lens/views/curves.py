"""An ablation curve as a picture and as text."""

from typing import TYPE_CHECKING

import pandas as pd

from rh_lens.checks import require_number, require_table, require_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TESTS = {"p_permutation": "p draws", "p_mcnemar": "p McNemar", "p_sign": "p needles"}
_CURVE = ("k", "top", "top_low", "top_high", "n_draws", "control", "control_lowest")
_LEGEND = (
    "p draws: other heads do as much harm; at least 1 / (draws + 1)",
    "p McNemar: the top K answer no fewer prompts than these controls do (paired prompts)",
    "p needles: the same with needles for prompts, as prompts of one needle are alike",
)


def plot_curve(curve: pd.DataFrame, *, metric: str = "recall", level: float = 0.95) -> "Figure":
    """Picture of a metric against the number of silenced heads, top K beside controls.

    The top K with its bootstrap interval; the mean over control draws with the range from the worst
    draw to the best. Figure 7 of Wu et al. 2024 (arXiv:2404.15574) shows the same for recall.

    Args:
        curve: From `AblationCurve.to_dataframe`, or its `curve.csv`.
        metric: What the curve holds, for the axis.
        level: Of the curve's intervals, for the legend.

    Returns:
        A matplotlib figure; `savefig` writes it.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: An argument is of another type.
        ValueError: The table lacks a column, or the level is not between 0 and 1.
    """
    _check_curve(curve, metric, level)
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Expected matplotlib for a picture; found none. Install rh-lens[viz], or use "
            "describe_curve."
        ) from error
    figure = Figure(figsize=(5.5, 3.6), layout="constrained")
    axes = figure.subplots()
    _draw_controls(axes, curve)
    axes.fill_between(curve["k"], curve["top_low"], curve["top_high"], color="C3", alpha=0.2)
    axes.plot(
        curve["k"],
        curve["top"],
        "o-",
        color="C3",
        label=f"top K by score ({100 * level:g} % interval)",
    )
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xticks(curve["k"], [str(k) for k in curve["k"]])
    axes.set_xticks([], minor=True)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("silenced heads")
    axes.set_ylabel(f"needle {metric}")
    figure.legend(loc="outside upper center", frameon=False)
    return figure


def _check_curve(curve: pd.DataFrame, metric: str, level: float) -> None:
    remedy = "Take AblationCurve.to_dataframe(), or read its curve.csv."
    require_table("curve", curve, _CURVE, remedy=remedy)
    require_text("metric", metric)
    require_number("level", level, above=0, below=1)


def _draw_controls(axes: "Axes", curve: pd.DataFrame) -> None:
    """Mean and range over draws, from the untouched model on."""
    drawn = curve[curve["n_draws"] > 0]
    untouched = curve[curve["k"] == 0]
    ks = [*untouched["k"], *drawn["k"]]
    lowest, mean, highest = (
        [*untouched["top"], *drawn[name]]
        for name in ("control_lowest", "control", "control_highest")
    )
    axes.fill_between(ks, lowest, highest, color="C0", alpha=0.2)
    axes.plot(ks, mean, "s--", color="C0", label="random controls (lowest to highest draw)")


def describe_curve(curve: pd.DataFrame, *, metric: str = "recall", level: float = 0.95) -> str:
    """A curve as text: each K's means, draws and tests, and what is missing.

    Args:
        curve: From `AblationCurve.to_dataframe`, or its `curve.csv`.
        metric: What the curve holds, for the title.
        level: Of the curve's intervals, for the legend.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The table lacks a column, or the level is not between 0 and 1.
    """
    _check_curve(curve, metric, level)
    curve = curve.fillna({"note": ""})
    rows = [_row(row) for _, row in curve.iterrows()]
    notes = [f"K = {row['k']}: {row['note']}" for _, row in curve.iterrows() if row["note"]]
    return "\n".join(
        [
            f"Needle {metric} with the top K heads silenced, and with random controls",
            pd.DataFrame(rows).to_string(index=False),
            f"[{100 * level:g} % bootstrap interval] (lowest to highest draw) "
            "p / the same, Holm-corrected over the Ks",
            *_LEGEND,
            *notes,
        ]
    )


def _row(row: pd.Series) -> dict[str, str]:
    top = f"{row['top']:.3f} [{row['top_low']:.2f}, {row['top_high']:.2f}]"
    controls = "-"
    if row["n_draws"]:
        lowest, highest = row["control_lowest"], row["control_highest"]
        controls = f"{row['control']:.3f} ({lowest:.2f} to {highest:.2f})"
    return {
        "K": str(row["k"]),
        "top K": top,
        "controls": controls,
        "draws": f"{row['n_draws']} of {_count(row['n_possible'])}" if row["n_draws"] else "-",
        **{title: f"{_p(row[test])} / {_p(row[f'{test}_holm'])}" for test, title in _TESTS.items()},
    }


def _p(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.2g}"


def _count(value: int) -> str:
    """A number of sets: exact while it is short."""
    return str(value) if value < 1_000_000 else f"{value:.0e}"


def describe_failures(shares: pd.DataFrame) -> str:
    """How answers come out by K, and how the model's language fares, as text.

    Args:
        shares: One row a K and kind: `kind`, `k`, shares of answers as columns, and `perplexity`
            and `ratio` (to the untouched model) where they were measured.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The table lacks a column.
    """
    remedy = "Take AblationCurve.by_k(error_shares(errors, curve.recall))."
    require_table("shares", shares, ("kind", "k"), remedy=remedy)
    shown = shares.drop(columns=[name for name in shares if not shares[name].any()])
    names = {"none": "untouched", "top": "top", "control": "controls"}
    shown = shown.assign(kind=[names[kind] for kind in shown["kind"]])
    shown = shown.rename(columns={"kind": "silenced", "k": "K", "ratio": "times untouched"})
    title = "How answers come out (shares), and perplexity of plain text"
    return f"{title}\n" + shown.to_string(index=False, float_format=lambda value: f"{value:.2f}")
