"""How sure the shares of retrieved and failed answers are."""

import pandas as pd

from rh_lens.checks import require_number
from rh_lens.evaluation.error_rules import ERROR_TYPES
from rh_lens.evaluation.errors import require_errors
from rh_lens.evaluation.intervals import mean_interval
from rh_lens.evaluation.recall import RecallResult


def error_intervals(
    errors: pd.DataFrame, result: RecallResult, *, level: float = 0.95
) -> pd.DataFrame:
    """Shares of each condition's answers by how they came out, with intervals over needles.

    A share of 0 on 12 needles may be one of 0.26 on others: see `mean_interval`.

    Args:
        errors: From `classify_errors(result)`.
        result: The answers.
        level: Coverage that the intervals aim at.

    Returns:
        One row a condition and outcome, "retrieved" first, then `ERROR_TYPES`: `condition`,
        `outcome`, `n` (answers), `n_needles`, `share`, `share_low`, `share_high`.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The table lacks a column, or the level is not between 0 and 1.

    Examples:
        >>> errors = classify_errors(recall)
        >>> error_intervals(errors, recall)[["condition", "outcome", "share", "share_high"]].head(2)
          condition    outcome  share  share_high
        0      none  retrieved    1.0    1.000000
        1      none      empty    0.0    0.602365
    """
    require_errors(errors, result)
    require_number("level", level, above=0, below=1)
    answers = result.answers[["condition", "trial", "needle"]]
    outcomes = answers.merge(errors[["condition", "trial", "error"]], how="left")
    outcomes["outcome"] = outcomes["error"].fillna("retrieved").astype(str)
    rows = []
    for condition, group in outcomes.groupby("condition", sort=False):
        for outcome in ("retrieved", *ERROR_TYPES):
            came_out = (group["outcome"] == outcome).to_numpy()
            share = mean_interval(came_out, group["needle"].to_list(), level=level)
            rows.append(
                {
                    "condition": condition,
                    "outcome": outcome,
                    "n": len(group),
                    "n_needles": share.n_needles,
                    **share.named("share"),
                }
            )
    return pd.DataFrame(rows)
