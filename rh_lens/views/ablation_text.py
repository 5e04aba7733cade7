"""An ablation curve as text, and how answers fail along it."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from rh_lens.checks import require_table
from rh_lens.evaluation import AblationCurve, AblationTables, ablation_tables
from rh_lens.runs import StoredAblation
from rh_lens.views.summarise import text_of
from rh_lens.views.terminal import table_text, wrapped

_MATCHES = {"layer": "same layers", "kv-group": "same KV groups", "norm": "like norm",
            "entropy": "like entropy", "any": "any layer"}  # fmt: skip
_CURVE = ("k", "top", "top_low", "top_high", "change", "p_untouched", "p_heads", "n_rankings",
          "metric", "level")  # fmt: skip
_CONTROLS = ("k", "match", "control", "control_lowest", "control_highest", "n_draws", "margin")


@text_of.register
def _(tables: AblationTables) -> str:
    parts = [_curve(tables.curve)]
    if tables.controls is not None and len(tables.controls):
        parts.append(_controls(tables.controls))
    if tables.failures is not None:
        parts.append(_failures(tables.failures))
    return "\n\n".join(parts)


@text_of.register
def _(curve: AblationCurve) -> str:
    return text_of(ablation_tables(curve))


@text_of.register
def _(stored: StoredAblation) -> str:
    return text_of(stored.tables)


def require_curve(curve: pd.DataFrame, controls: pd.DataFrame | None = None) -> None:
    """Refuse tables that are no curve's.

    Raises:
        TypeError: An argument is no table.
        ValueError: A table lacks a column.
    """
    remedy = "Take AblationCurve.to_dataframe(), or read its curve.csv."
    require_table("curve", curve, _CURVE, remedy=remedy)
    if controls is not None:
        remedy = "Take AblationCurve.controls_to_dataframe(), or read its controls.csv."
        require_table("controls", controls, _CONTROLS, remedy=remedy)


def _curve(curve: pd.DataFrame) -> str:
    require_curve(curve)
    rows = curve.to_dict("records")
    first = rows[0]
    counted = f"{first['n_needles']} needles, {first['n_prompts']} prompts"
    parts = [
        f"Needle {first['metric']} with the top K heads silenced ({counted})",
        table_text([_top(row) for row in rows]),
        f"[{100 * first['level']:g} % interval over needles]; change: against the untouched model",
        wrapped(
            "p needles: other needles would show no loss with these heads (one-sided, for each K)"
        ),
        *map(wrapped, _tests(first)),
    ]
    return "\n".join(parts)


def match_name(match: str) -> str:
    """What controls share with the top K, in words."""
    return _MATCHES.get(match, match)


def _top(row: Mapping[Any, Any]) -> dict[str, str]:
    return {
        "K": str(row["k"]),
        "top K": band(row, "top"),
        "change": band(row, "change"),
        "p needles": p_text(row["p_untouched"]),
        "p heads": p_text(row["p_heads"]),
        "sets": count_text(row["n_sets"]),
    }


def _tests(first: Mapping[Any, Any]) -> list[str]:
    if not first["n_rankings"]:
        return ["No rankings were drawn: whether other heads would do as much harm is not tested."]
    drawn = f"{first['n_rankings']} of {count_text(first['n_other_rankings'])} other rankings"
    found = (
        f"p heads: heads drawn in their place do as much harm (corrected over the Ks); sets: how "
        f"many sets of K heads could be drawn. {drawn}: {p_text(first['p_smallest'])} at the "
        "smallest."
    )
    curve = f"The whole curve against these rankings: p = {p_text(first['p_curve'])}."
    if first["p_smallest"] > 1 / 20:
        curve += " Too few rankings to test the heads at 0.05."
    return [found, curve]


def _controls(controls: pd.DataFrame) -> str:
    """Other heads beside the top K, with their balance and notes."""
    every = controls.assign(note=controls["note"].fillna("")).to_dict("records")
    rows = [_control(row) for row in every if row["n_draws"]]
    notes = [
        f"K = {row['k']}, {match_name(row['match'])}: {row['note']}" for row in every if row["note"]
    ]
    lines = [
        "Other heads silenced: none of the top K, no retrieval heads",
        table_text(rows, n_keys=2) if rows else "-",
        wrapped(
            "[interval over draws and needles] (lowest to highest draw); top - controls: what the "
            f"top K do beyond them; p same: they change less than {every[0]['margin']:g} "
            "(equivalence test)"
        ),
        "norm, entropy: mean output norm and attention entropy, top K / controls",
        *map(wrapped, notes),
    ]
    return "\n".join(lines)


def _control(row: Mapping[Any, Any]) -> dict[str, str]:
    n_possible = "" if pd.isna(row["n_possible"]) else f" of {count_text(int(row['n_possible']))}"
    return {
        "K": str(row["k"]),
        "controls": match_name(row["match"]),
        "draws": f"{row['n_draws']}{n_possible}",
        "recall": f"{band(row, 'control')} ({row['control_lowest']:.2f} to "
        f"{row['control_highest']:.2f})",
        "top - controls": band(row, "difference"),
        "p same": p_text(row["p_equivalent"]),
        "norm": _pair(row, "norm"),
        "entropy": _pair(row, "entropy"),
    }


def band(row: Mapping[Any, Any], name: str) -> str:
    """A mean and its interval; a dash where there is none."""
    if pd.isna(row[name]):
        return "-"
    return f"{row[name]:.2f} [{row[f'{name}_low']:.2f}, {row[f'{name}_high']:.2f}]"


def _pair(row: Mapping[Any, Any], trait: str) -> str:
    if pd.isna(row[trait]):
        return "-"
    return f"{row[trait]:.1f} / {row[f'control_{trait}']:.1f}"


def p_text(value: float) -> str:
    """A p-value; a dash where there is none."""
    return "-" if pd.isna(value) else f"{value:.2g}"


def count_text(value: int) -> str:
    """A number of sets: exact while it is short."""
    return f"{value:,}" if value < 1_000_000 else f"{value:.0e}"


def _failures(shares: pd.DataFrame) -> str:
    """How answers come out by K, and how the model's language fares."""
    remedy = "Take AblationCurve.by_k(error_shares(errors, curve.recall))."
    require_table("failures", shares, ("kind", "k", "match"), remedy=remedy)
    shown = shares.drop(columns=[name for name in shares if not shares[name].fillna(0).any()])
    names = {"none": "untouched", "top": "top", "control": "controls, "}
    silenced = [
        names[kind] + (match_name(match) if kind == "control" else "")
        for kind, match in zip(shares["kind"], shares["match"], strict=True)
    ]
    shown = shown.assign(kind=silenced).drop(columns="match", errors="ignore")
    shown = shown.rename(columns={"kind": "silenced", "k": "K", "ratio": "times untouched"})
    title = "How answers come out (shares), and perplexity of plain text"
    rows = [
        {name: f"{value:.2f}" if isinstance(value, float) else str(value)
         for name, value in row.items()}
        for row in shown.to_dict("records")
    ]  # fmt: skip
    return f"{title}\n{table_text(rows, n_keys=2)}"
