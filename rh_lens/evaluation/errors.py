"""How failed answers fail, and what the heads did meanwhile."""

from typing import Any

import pandas as pd

from rh_lens.checks import require_number, require_table, require_type
from rh_lens.evaluation.error_rules import ERROR_TYPES, ErrorRules, trace
from rh_lens.evaluation.failing_steps import looked_at
from rh_lens.evaluation.prompt_parts import prompt_parts
from rh_lens.evaluation.recall import RecallResult

_DTYPES = {
    "condition": "string",
    "trial": "int64",
    "error": "string",
    "recall": "float64",
    "n_tokens": "int64",
    "repeated_length": "int64",
    "answer_words": "int64",
    "answer_length": "int64",
    "copied_length": "int64",
    "copied_step": "Int64",
    "copied_from": "Int64",
    "copied_depth": "float64",
    "copied_text": "string",
    "says_distractor": "bool",
    "stands_in_haystack": "bool",
    "distractor": "string",
}

ERROR_COLUMNS = tuple(_DTYPES)
"""Columns of an error table, one row a failed answer.

`error` one of `ERROR_TYPES`; `repeated_length` tokens in the longest cycle gone through three times
or more, 0 if none; `answer_words` words in the longest run that stands in the needle's answer and
nowhere else in the prompt; `answer_length` tokens in the longest run that stands verbatim in the
needle's answer; `copied_length` tokens in the longest run that stands verbatim in the haystack, 0
if none; `copied_step` where that run begins in the answer, `copied_from` where in the prompt (its
first occurrence), `copied_depth` the share of the haystack before it, `copied_text` what it says;
`says_distractor` whether the text says a distractor's whole answer, `stands_in_haystack` whether
all of it stands in a row in the haystack and is more than one ordinary word; `distractor` of a
wrong extraction, the answer of the distractor that was said, or else that the run begins in.
"""


def classify_errors(
    result: RecallResult,
    rules: ErrorRules | None = None,
    *,
    min_active: float = 0.5,
    min_sink: float = 0.5,
) -> pd.DataFrame:
    """One row for each answer that did not retrieve its needle: how it fails, and from where.

    The types are those of Wu et al. 2024 (arXiv:2404.15574), who name incomplete retrieval, wrong
    extraction and hallucination without giving rules, and three more; the rules are ours.

    Where the result has an activity (`needle_recall(..., heads=top_heads)`), each answer also tells
    what those heads did at its failing steps: those from the first token on that departs from the
    needle's answer, compared token by token from its start (`first_failing_step`). An answer that
    only ends too early has none: what ends an answer is not a step.

    | column | |
    |---|---|
    | `n_failing` | failing steps |
    | `active_on_needle` | share that looked most at the needle's answer |
    | `active_elsewhere` | share that looked most at the token said, elsewhere in the prompt |
    | `sink_mass` | mean attention on the first token |
    | `active_on_wrong_place` | `active_elsewhere` is at least `min_active` |
    | `partly_active` | `active_on_needle` is above 0 and below `min_active` |
    | `attended_sink` | `sink_mass` is at least `min_sink` |

    The shares are NaN for an answer without failing steps. A head that is silenced at its output
    still looks: its activity is what it would have copied.

    Args:
        result: From `needle_recall`.
        rules: None takes `ErrorRules()`.
        min_active: Share of steps and heads from which on the heads count as active.
        min_sink: Mean attention from which on they count as attending the first token.

    Returns:
        Columns `ERROR_COLUMNS`, and those above where heads were recorded; in the order of
        `result.answers`.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A share is not between 0 and 1.

    Examples:
        >>> classify_errors(recall).columns[:4].tolist()
        ['condition', 'trial', 'error', 'recall']
    """
    require_recall(result)
    if rules is not None:
        require_type("rules", rules, ErrorRules)
    require_number("min_active", min_active, at_least=0, at_most=1)
    require_number("min_sink", min_sink, at_least=0, at_most=1)
    rules = rules or ErrorRules()
    failed = result.answers[~result.answers["retrieved"]].reset_index(drop=True)
    found: dict[int, dict[str, Any]] = {}
    # By prompt: the parts of a long one are large, and needed one after the other only.
    for trial in failed["trial"].unique().tolist():
        parts = prompt_parts(result.prompts[trial], result.tokenizer)
        group = failed[failed["trial"] == trial]
        for row, condition, text in zip(
            group.index, group["condition"], group["text"], strict=True
        ):
            said = result.tokens[condition, trial].tolist()
            traced = trace(parts, said, text, result.tokenizer)
            error = rules.error_type(text, len(said), traced)
            found[row] = {**traced, "error": error}
            if error != "wrong extraction":
                # A run of one token comes from anywhere.
                found[row]["distractor"] = None
    errors = failed.join(pd.DataFrame.from_dict(found, orient="index"))
    errors = errors.reindex(columns=list(ERROR_COLUMNS)).astype(_DTYPES)
    if result.activity is None:
        return errors
    activity = looked_at(result.activity, result.tokens, result.prompts)
    errors = errors.merge(activity, on=["condition", "trial"], how="left")
    on_needle = errors["active_on_needle"]
    errors["active_on_wrong_place"] = errors["active_elsewhere"] >= min_active
    errors["partly_active"] = (on_needle > 0) & (on_needle < min_active)
    errors["attended_sink"] = errors["sink_mass"] >= min_sink
    return errors


def error_shares(errors: pd.DataFrame, result: RecallResult) -> pd.DataFrame:
    """Shares of each condition's answers that were retrieved, and that failed in each way.

    Args:
        errors: From `classify_errors(result)`.
        result: The answers.

    Returns:
        One row a condition, in order: `condition`, `n` (answers), `retrieved`, then a column for
        each of `ERROR_TYPES`. The shares add up to 1.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The table lacks a column.

    Examples:
        >>> error_shares(classify_errors(recall), recall)[["condition", "n", "retrieved"]].head(2)
          condition  n  retrieved
        0      none  4       1.00
        1     top-2  4       0.75
    """
    require_errors(errors, result)
    counts = pd.crosstab(errors["condition"], errors["error"])
    counts = counts.reindex(index=list(result.conditions), columns=list(ERROR_TYPES), fill_value=0)
    n = result.answers.groupby("condition", sort=False).size()
    shares = counts.div(n, axis=0)
    shares.insert(0, "retrieved", 1 - counts.sum(axis=1) / n)
    shares.insert(0, "n", n)
    shares.columns.name = None
    return shares.rename_axis("condition").reset_index()


def require_recall(result: RecallResult) -> None:
    """Refuse what is no result of `needle_recall`.

    Raises:
        TypeError: It is something else.
    """
    require_type("result", result, RecallResult, remedy="Take it from needle_recall.")


def require_errors(errors: pd.DataFrame, result: RecallResult) -> None:
    """Refuse what is no table of errors, beside the result that it is of.

    Raises:
        TypeError: One of them is something else.
        ValueError: The table lacks a column.
    """
    require_recall(result)
    remedy = "Take it from classify_errors(result)."
    require_table("errors", errors, ("condition", "trial", "error"), remedy=remedy)
