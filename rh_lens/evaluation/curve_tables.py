"""The tables of an ablation curve: the top K with its tests, and the controls beside it."""

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from rh_lens.evaluation.ablation_plan import AblationPlan
from rh_lens.evaluation.paired_answers import PairedAnswers
from rh_lens.evaluation.permutation import (
    count_as_harmful,
    sequential_pvalue,
    step_down_pvalues,
    stop_after,
)

NAN = float("nan")


def curve_table(plan: AblationPlan, answers: PairedAnswers) -> pd.DataFrame:
    """One row for each K; see `AblationCurve.to_dataframe`."""
    rows: list[dict[str, Any]] = []
    for k in plan.ks:
        (top,) = plan.of(k, "top" if k else "none")
        row: dict[str, Any] = {"k": k, **answers.mean([top]).named("top")}
        if k:
            row |= answers.difference(top, ["none"]).named("change")
            row["p_untouched"] = answers.loss(top, "none")
        rows.append(row)
    optional = ["change", "change_low", "change_high", "p_untouched"]
    table = pd.DataFrame(rows).reindex(columns=["k", "top", "top_low", "top_high", *optional])
    table["p_heads"], curve = _tests_of_heads(plan, answers)
    table["n_sets"] = [plan.n_family.get(k, 1) for k in plan.ks]
    table["p_curve"] = curve
    table["p_smallest"] = plan.smallest_pvalue if plan.n_planned else NAN
    table["n_rankings"] = plan.n_rankings
    table["n_other_rankings"] = plan.n_other_rankings
    table["n_needles"] = answers.needles.nunique()
    table["n_prompts"] = len(answers.values)
    table["metric"], table["level"] = answers.metric, answers.level
    return table


def _tests_of_heads(plan: AblationPlan, answers: PairedAnswers) -> tuple[list[float], float]:
    """The corrected p-value of each K (NaN at 0), and that of the whole curve."""
    ks = [k for k in plan.ks if k]
    if not ks or not plan.n_rankings:
        return [NAN] * len(plan.ks), NAN
    observed, draws = _curves(plan, answers)
    curve = sequential_pvalue(
        float(observed.mean()), draws.mean(1), n_as_harmful=stop_after(plan.n_planned)
    )
    each = step_down_pvalues(observed, draws)
    if plan.n_rankings < plan.n_planned:
        # The draws have ended because the whole curve is no exception; no part of it is one.
        each = np.maximum(each, curve)
    by_k = dict(zip(ks, each.tolist(), strict=True))
    return [by_k.get(k, NAN) for k in plan.ks], curve


def is_settled(plan: AblationPlan, answers: PairedAnswers) -> bool:
    """Whether so many rankings were as harmful that the whole curve cannot reach 0.05."""
    if not plan.n_rankings:
        return False
    observed, draws = _curves(plan, answers)
    as_harmful = count_as_harmful(float(observed.mean()), draws.mean(1))
    return as_harmful >= stop_after(plan.n_planned)


def _curves(
    plan: AblationPlan, answers: PairedAnswers
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "draw k"]]:
    """Means of the top K and of each drawn ranking, on the prompts that all have answered."""
    ks = [k for k in plan.ks if k]
    names = [name for k in ks for name in (*plan.of(k, "top"), *plan.of(k, "drawn"))]
    means = answers.values[list(dict.fromkeys(names))].dropna().mean()
    observed = np.array([means[plan.of(k, "top")[0]] for k in ks])
    return observed, np.array([means[plan.of(k, "drawn")].to_numpy() for k in ks]).T


def controls_table(plan: AblationPlan, answers: PairedAnswers, *, margin: float) -> pd.DataFrame:
    """One row for each K and match; see `AblationCurve.controls_to_dataframe`."""
    rows = []
    for (k, match), n_possible in plan.n_possible.items():
        (top,), controls = plan.of(k, "top"), plan.of(k, "control", match)
        row: dict[str, Any] = {"k": k, "match": match}
        if controls:
            means = answers.values[controls].mean()
            row |= answers.mean(controls, n_possible).named("control")
            row |= {"control_lowest": means.min(), "control_highest": means.max()}
            row |= answers.difference(top, controls, n_possible).named("difference")
            row["p_equivalent"] = answers.equivalence("none", controls, margin, n_possible)
        rows.append(
            row
            | {"n_draws": len(controls), "n_possible": n_possible}
            | plan.balance.get((k, match), {})
            | {"level": answers.level, "margin": margin}
            | {"note": _note(plan, k, match, len(controls))}
        )
    table = pd.DataFrame(rows, columns=_CONTROL_COLUMNS)
    order = {match: place for place, match in enumerate(plan.matches)}
    table = table.sort_values(["k", "match"], key=lambda column: column.replace(order))
    return table.astype({"n_possible": "Int64"}).reset_index(drop=True)


_CONTROL_COLUMNS = [
    *["k", "match", "control", "control_low", "control_high", "control_lowest", "control_highest"],
    *["difference", "difference_low", "difference_high", "p_equivalent", "n_draws", "n_possible"],
    *["norm", "control_norm", "entropy", "control_entropy", "level", "margin", "note"],
]


def _note(plan: AblationPlan, k: int, match: str, n_draws: int) -> str:
    notes = [plan.notes[k, match]] if (k, match) in plan.notes else []
    if n_draws == 1:
        notes.append("compared with this one set of heads, not with others like it")
    return "; ".join(notes)
