"""The tables of an ablation curve that are saved and shown."""

import pandas as pd

from rh_lens.checks import require_number, require_table, require_type
from rh_lens.evaluation.curves import AblationCurve
from rh_lens.evaluation.errors import classify_errors, error_shares


def ablation_tables(
    curve: AblationCurve, fluency: pd.DataFrame | None = None, *, margin: float = 0.1
) -> dict[str, pd.DataFrame]:
    """Everything that a curve says, as tables.

    Args:
        curve: From `ablation_curve`.
        fluency: From `perplexity` under `curve.compared`; None leaves it out.
        margin: Largest change in recall that does not matter, for the controls' equivalence test.

    Returns:
        `curve` (a row a K), `controls` (a K and match), `answers` (a condition and prompt), `heads`
        (a condition), `errors` (a failed answer), `failures` (a K: how answers come out, and the
        perplexity) and `perplexity` (a condition; not without `fluency`).

    Raises:
        TypeError: An argument is of another type.
        ValueError: The table lacks a column, or the margin is not between 0 and 1.
    """
    require_type("curve", curve, AblationCurve, remedy="Take it from ablation_curve.")
    require_number("margin", margin, above=0, below=1)
    if fluency is not None:
        remedy = "Take it from perplexity(model, text, curve.compared)."
        require_table("fluency", fluency, ("condition", "perplexity", "ratio"), remedy=remedy)
    errors = classify_errors(curve.recall)
    tables = {
        "curve": curve.to_dataframe(),
        "controls": curve.controls_to_dataframe(margin=margin),
        "answers": curve.answers,
        "heads": curve.heads,
        "errors": curve.label(errors),
        "failures": curve.by_k(error_shares(errors, curve.recall).drop(columns="n")),
    }
    if fluency is not None:
        beside = curve.by_k(fluency[["condition", "perplexity", "ratio"]])
        tables["failures"] = tables["failures"].merge(beside, on=["kind", "k", "match"])
        tables["perplexity"] = curve.label(fluency)
    return tables
