"""What the tables of an ablation say in one line: the top heads beside others."""

import math
from dataclasses import dataclass
from typing import Any

from rh_lens.evaluation import AblationTables
from rh_lens.views.ablation_text import match_name
from rh_lens.views.page.words import count, number


@dataclass(frozen=True)
class MainComparison:
    """The K that says most, with the untouched model and the controls.

    Args:
        k: Heads silenced.
        metric: What was measured.
        untouched: It, with nothing silenced.
        top: It, with the top K silenced.
        low: Lower end of its interval.
        high: Upper end.
        level: Coverage that the interval aims at.
        p_heads: p-value against heads drawn in their place; NaN if none were drawn.
        n_prompts: Prompts.
        n_needles: Needles among them.
        controls: A sentence for each kind of control.
    """

    k: int
    metric: str
    untouched: float
    top: float
    low: float
    high: float
    level: float
    p_heads: float
    n_prompts: int
    n_needles: int
    controls: tuple[str, ...]


def main_comparison(tables: AblationTables) -> MainComparison | None:
    """The K at which the top heads and the controls differ most; None if only K = 0 was asked."""
    rows = {int(row["k"]): row for row in tables.curve.to_dict("records")}
    silenced = [k for k in rows if k]
    if 0 not in rows or not silenced:
        return None
    controls = [] if tables.controls is None else tables.controls.to_dict("records")
    drawn = [row for row in controls if row["n_draws"]]
    with_controls = [row["k"] for row in drawn if row["k"] in silenced]
    k = min(with_controls or silenced, key=lambda one: (_effect(rows[one], drawn), one))
    row = rows[k]
    return MainComparison(
        k=k,
        metric=f"needle {row['metric']}",
        untouched=rows[0]["top"],
        top=row["top"],
        low=row["top_low"],
        high=row["top_high"],
        level=row["level"],
        p_heads=row["p_heads"],
        n_prompts=row["n_prompts"],
        n_needles=row["n_needles"],
        controls=tuple(_control(one) for one in drawn if one["k"] == k),
    )


def _effect(row: dict[Any, Any], drawn: list[dict[Any, Any]]) -> float:
    """The top K against the control nearest to them; the change where there is none."""
    against = [one["difference"] for one in drawn if one["k"] == row["k"]]
    known = [value for value in against if not math.isnan(value)]
    return round(max(known), 2) if known else row["change"]


def _control(row: dict[Any, Any]) -> str:
    draws = count(int(row["n_draws"]), "draw")
    kind = match_name(row["match"])
    return f"Without as many other heads ({kind}, {draws}) it was {number(row['control'], 2)}."
