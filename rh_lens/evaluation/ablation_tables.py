"""An ablation as tables: what is saved, printed and drawn."""

from dataclasses import dataclass, fields

import pandas as pd

from rh_lens.checks import require_number, require_table, require_type
from rh_lens.evaluation.curves import AblationCurve
from rh_lens.evaluation.errors import classify_errors, error_shares
from rh_lens.representation import short_repr


@dataclass(frozen=True, eq=False)
class AblationTables:
    """Everything that an ablation curve says, as tables; None where one was not made.

    Args:
        curve: A row a K, as `AblationCurve.to_dataframe` has it.
        controls: A row a K and kind of control, as `AblationCurve.controls_to_dataframe` has it.
        answers: A row a condition and prompt.
        heads: A row a condition: the heads that it silences.
        errors: A row a failed answer, as `classify_errors` has it.
        failures: A row a K and kind: shares of the ways in which answers come out, and perplexity.
        perplexity: A row a condition.
    """

    curve: pd.DataFrame
    controls: pd.DataFrame | None = None
    answers: pd.DataFrame | None = None
    heads: pd.DataFrame | None = None
    errors: pd.DataFrame | None = None
    failures: pd.DataFrame | None = None
    perplexity: pd.DataFrame | None = None

    __repr__ = short_repr

    def by_name(self) -> dict[str, pd.DataFrame]:
        """The tables that there are, by name."""
        tables = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: table for name, table in tables.items() if table is not None}


def ablation_tables(
    curve: AblationCurve, fluency: pd.DataFrame | None = None, *, margin: float = 0.1
) -> AblationTables:
    """Everything that a curve says, as tables.

    Args:
        curve: From `ablation_curve`.
        fluency: From `perplexity` under `curve.compared`; None leaves it out.
        margin: Largest change in recall that does not matter, for the controls' equivalence test.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The table lacks a column, or the margin is not between 0 and 1.

    Examples:
        >>> sorted(ablation_tables(curve).by_name())
        ['answers', 'controls', 'curve', 'errors', 'failures', 'heads']
    """
    require_type("curve", curve, AblationCurve, remedy="Take it from ablation_curve.")
    require_number("margin", margin, above=0, below=1)
    errors = classify_errors(curve.recall)
    failures = curve.by_k(error_shares(errors, curve.recall).drop(columns="n"))
    if fluency is not None:
        remedy = "Take it from perplexity(model, text, curve.compared)."
        require_table("fluency", fluency, ("condition", "perplexity", "ratio"), remedy=remedy)
        beside = curve.by_k(fluency[["condition", "perplexity", "ratio"]])
        failures = failures.merge(beside, on=["kind", "k", "match"])
    return AblationTables(
        curve=curve.to_dataframe(),
        controls=curve.controls_to_dataframe(margin=margin),
        answers=curve.answers,
        heads=curve.heads,
        errors=curve.label(errors),
        failures=failures,
        perplexity=None if fluency is None else curve.label(fluency),
    )
