"""The same prompts under several conditions: means, intervals and tests on pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import pandas as pd

from rh_lens.checks import require_choice
from rh_lens.evaluation.permutation import permutation_pvalue
from rh_lens.evaluation.recall import Metric
from rh_lens.evaluation.statistics import bootstrap_interval, mcnemar_pvalue, sign_pvalue

TESTS = ("p_permutation", "p_mcnemar", "p_sign", "p_untouched")
"""Tests of one condition: three against controls, one against the untouched model."""


@dataclass(frozen=True, eq=False)
class PairedAnswers:
    """Values of every prompt under every condition.

    Args:
        values: The metric; one row a prompt, one column a condition.
        answered: Yes or no in the same shape, for tests that need it.
        needles: Name of each prompt's needle.
        level: Share of the resampled means inside an interval.
        n_resamples: Bootstrap resamples.
        seed: Seed of the resampling.
    """

    values: pd.DataFrame
    answered: pd.DataFrame
    needles: pd.Series
    level: float
    n_resamples: int
    seed: int

    @classmethod
    def of(
        cls, answers: pd.DataFrame, metric: Metric, *, level: float, n_resamples: int, seed: int
    ) -> "PairedAnswers":
        """From the answers of `needle_recall`; `recall` is answered where `retrieved` says so.

        Raises:
            ValueError: The metric is unknown.
        """
        require_choice("metric", metric, get_args(Metric))
        table = answers.set_index(["trial", "condition"])
        return cls(
            values=table[metric].astype(float).unstack("condition"),
            answered=table["retrieved" if metric == "recall" else metric].unstack("condition"),
            needles=answers.groupby("trial")["needle"].first(),
            level=level,
            n_resamples=n_resamples,
            seed=seed,
        )

    def band(self, name: str, conditions: Sequence[str]) -> dict[str, float]:
        """Mean over conditions and prompts, and its interval.

        Needles are resampled, or prompts where there is one needle only.

        Returns:
            `name`, `name_low` and `name_high`, NaN without conditions.
        """
        if not conditions:
            return dict.fromkeys((name, f"{name}_low", f"{name}_high"), float("nan"))
        values = self.values[list(conditions)].mean(axis=1)
        low, high = bootstrap_interval(
            values,
            level=self.level,
            n_resamples=self.n_resamples,
            seed=self.seed,
            groups=self.needles if self.needles.nunique() > 1 else None,
        )
        return {name: float(values.mean()), f"{name}_low": low, f"{name}_high": high}

    def spread(self, controls: Sequence[str]) -> dict[str, float]:
        """Means of the worst and the best control draw, NaN without any."""
        means = self.values[list(controls)].mean()
        return {"control_lowest": float(means.min()), "control_highest": float(means.max())}

    def tests(self, top: str, untouched: str, controls: Sequence[str]) -> dict[str, float]:
        """One-sided p-values for a condition that answers less; see `AblationCurve.to_dataframe`.

        Returns:
            `TESTS`, those against controls NaN without any.
        """
        before = mcnemar_pvalue(self.answered[top], self.answered[untouched], alternative="less")
        alone = {**dict.fromkeys(TESTS, float("nan")), "p_untouched": before}
        if not controls:
            return alone
        draws = self.values[list(controls)]
        by_most = self.answered[list(controls)].mean(axis=1) > 0.5
        top_values = self.values[top]
        return {
            **alone,
            "p_permutation": permutation_pvalue(float(top_values.mean()), draws.mean()),
            "p_mcnemar": mcnemar_pvalue(self.answered[top], by_most, alternative="less"),
            "p_sign": sign_pvalue(top_values, draws.mean(axis=1), self.needles),
        }
