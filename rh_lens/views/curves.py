"""An ablation curve as text, and how answers fail along it."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from rh_lens.checks import require_number, require_table, require_text

_MATCHES = {"layer": "same layers", "kv-group": "same KV groups", "norm": "like norm",
            "entropy": "like entropy", "any": "any layer"}  # fmt: skip
_CURVE = ("k", "top", "top_low", "top_high", "change", "p_untouched", "p_heads", "n_rankings")
_CONTROLS = ("k", "match", "control", "control_lowest", "control_highest", "n_draws")


def describe_curve(
    curve: pd.DataFrame,
    controls: pd.DataFrame | None = None,
    *,
    metric: str = "recall",
    level: float = 0.95,
    margin: float = 0.1,
) -> str:
    """A curve as text: the top K with their tests, the controls beside them, and what is missing.

    Args:
        curve: From `AblationCurve.to_dataframe`, or its `curve.csv`.
        controls: From `AblationCurve.controls_to_dataframe`, or its `controls.csv`.
        metric: What the curve holds, for the title.
        level: Of the intervals, for the legend.
        margin: Of the equivalence test, for the legend.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A table lacks a column, or the level or margin is not between 0 and 1.
    """
    check_curve(curve, controls, metric, level)
    require_number("margin", margin, above=0, below=1)
    rows = curve.to_dict("records")
    first = rows[0]
    counted = f"{first['n_needles']} needles, {first['n_prompts']} prompts"
    parts = [
        f"Needle {metric} with the top K heads silenced ({counted})",
        pd.DataFrame([_top(row) for row in rows]).to_string(index=False),
        f"[{100 * level:g} % interval over needles]; change: against the untouched model",
        "p needles: other needles would show no loss with these heads (one-sided, for each K)",
        *_tests(first),
    ]
    if controls is not None and len(controls):
        parts += ["", *_beside(controls.assign(note=controls["note"].fillna("")), margin)]
    return "\n".join(parts)


def check_curve(
    curve: pd.DataFrame, controls: pd.DataFrame | None, metric: str, level: float
) -> None:
    """Refuse tables that are no curve's.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A table lacks a column, or the level is not between 0 and 1.
    """
    remedy = "Take AblationCurve.to_dataframe(), or read its curve.csv."
    require_table("curve", curve, _CURVE, remedy=remedy)
    if controls is not None:
        remedy = "Take AblationCurve.controls_to_dataframe(), or read its controls.csv."
        require_table("controls", controls, _CONTROLS, remedy=remedy)
    require_text("metric", metric)
    require_number("level", level, above=0, below=1)


def match_name(match: str) -> str:
    """What controls share with the top K, in words."""
    return _MATCHES.get(match, match)


def _top(row: Mapping[Any, Any]) -> dict[str, str]:
    return {
        "K": str(row["k"]),
        "top K": _band(row, "top"),
        "change": _band(row, "change"),
        "p needles": _p(row["p_untouched"]),
        "p heads": _p(row["p_heads"]),
        "sets": _count(row["n_sets"]),
    }


def _tests(first: Mapping[Any, Any]) -> list[str]:
    if not first["n_rankings"]:
        return ["No rankings were drawn: whether other heads would do as much harm is not tested."]
    drawn = f"{first['n_rankings']} of {_count(first['n_other_rankings'])} other rankings"
    found = (
        f"p heads: heads drawn in their place do as much harm (corrected over the Ks); sets: how "
        f"many sets of K heads could be drawn. {drawn}: {_p(first['p_smallest'])} at the smallest."
    )
    curve = f"The whole curve against these rankings: p = {_p(first['p_curve'])}."
    if first["p_smallest"] > 1 / 20:
        curve += " Too few rankings to test the heads at 0.05."
    return [found, curve]


def _beside(controls: pd.DataFrame, margin: float) -> list[str]:
    every = controls.to_dict("records")
    rows = [_control(row) for row in every if row["n_draws"]]
    notes = [
        f"K = {row['k']}, {match_name(row['match'])}: {row['note']}" for row in every if row["note"]
    ]
    return [
        "Other heads silenced: none of the top K, no retrieval heads",
        pd.DataFrame(rows).to_string(index=False) if rows else "-",
        "[interval over draws and needles] (lowest to highest draw); top - controls: what the top "
        f"K do beyond them; p same: they change less than {margin:g} (equivalence test)",
        "norm, entropy: mean output norm and attention entropy, top K / controls",
        *notes,
    ]


def _control(row: Mapping[Any, Any]) -> dict[str, str]:
    n_possible = "" if pd.isna(row["n_possible"]) else f" of {_count(int(row['n_possible']))}"
    return {
        "K": str(row["k"]),
        "controls": match_name(row["match"]),
        "draws": f"{row['n_draws']}{n_possible}",
        "recall": f"{_band(row, 'control')} ({row['control_lowest']:.2f} to "
        f"{row['control_highest']:.2f})",
        "top - controls": _band(row, "difference"),
        "p same": _p(row["p_equivalent"]),
        "norm": _pair(row, "norm"),
        "entropy": _pair(row, "entropy"),
    }


def _band(row: Mapping[Any, Any], name: str) -> str:
    if pd.isna(row[name]):
        return "-"
    return f"{row[name]:.2f} [{row[f'{name}_low']:.2f}, {row[f'{name}_high']:.2f}]"


def _pair(row: Mapping[Any, Any], trait: str) -> str:
    if pd.isna(row[trait]):
        return "-"
    return f"{row[trait]:.1f} / {row[f'control_{trait}']:.1f}"


def _p(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.2g}"


def _count(value: int) -> str:
    """A number of sets: exact while it is short."""
    return f"{value:,}" if value < 1_000_000 else f"{value:.0e}"


def describe_failures(shares: pd.DataFrame) -> str:
    """How answers come out by K, and how the model's language fares, as text.

    Args:
        shares: One row a K, kind and match: `kind`, `k`, `match`, shares of answers as columns, and
            `perplexity` and `ratio` (to the untouched model) where they were measured.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The table lacks a column.
    """
    remedy = "Take AblationCurve.by_k(error_shares(errors, curve.recall))."
    require_table("shares", shares, ("kind", "k", "match"), remedy=remedy)
    shown = shares.drop(columns=[name for name in shares if not shares[name].fillna(0).any()])
    names = {"none": "untouched", "top": "top", "control": "controls, "}
    silenced = [
        names[kind] + (match_name(match) if kind == "control" else "")
        for kind, match in zip(shares["kind"], shares["match"], strict=True)
    ]
    shown = shown.assign(kind=silenced).drop(columns="match", errors="ignore")
    shown = shown.rename(columns={"kind": "silenced", "k": "K", "ratio": "times untouched"})
    title = "How answers come out (shares), and perplexity of plain text"
    return f"{title}\n" + shown.to_string(index=False, float_format=lambda value: f"{value:.2f}")
