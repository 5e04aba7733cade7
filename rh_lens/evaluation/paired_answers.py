"""The same prompts under several conditions: means, differences and tests over needles."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import pandas as pd

from rh_lens.checks import require_choice, require_number
from rh_lens.evaluation.equivalence import equivalence_pvalue
from rh_lens.evaluation.intervals import Estimate, difference_interval, mean_interval
from rh_lens.evaluation.permutation import sign_flip_pvalue
from rh_lens.evaluation.recall import Metric


@dataclass(frozen=True, eq=False)
class PairedAnswers:
    """Values of every prompt under every condition.

    Args:
        values: The metric in [0, 1]; one row a prompt, one column a condition.
        needles: Name of each prompt's needle, or of its document.
        metric: What the values are.
        level: Coverage that the intervals aim at.
    """

    values: pd.DataFrame
    needles: pd.Series
    metric: str
    level: float

    @classmethod
    def of(cls, answers: pd.DataFrame, metric: Metric, *, level: float) -> "PairedAnswers":
        """From the answers of `needle_recall`.

        Raises:
            ValueError: The metric is unknown.
        """
        require_choice("metric", metric, get_args(Metric))
        require_number("level", level, above=0, below=1)
        table = answers.set_index(["trial", "condition"])
        return cls(
            values=table[metric].astype(float).unstack("condition"),
            needles=answers.groupby("trial")["needle"].first(),
            metric=metric,
            level=level,
        )

    def mean(self, conditions: Sequence[str], n_possible: int | None = None) -> Estimate:
        """Mean over conditions, which are draws, and prompts."""
        return mean_interval(
            self._rows(conditions), self._names, level=self.level, n_possible=n_possible
        )

    def difference(
        self, first: str, second: Sequence[str], n_possible: int | None = None
    ) -> Estimate:
        """Mean difference between a condition and others, which are draws."""
        return difference_interval(
            self._rows([first])[0],
            self._rows(second),
            self._names,
            level=self.level,
            n_possible=n_possible,
        )

    def equivalence(
        self, first: str, second: Sequence[str], margin: float, n_possible: int | None = None
    ) -> float:
        """P-value of the claim that the difference is inside the margin."""
        return equivalence_pvalue(
            self._rows([first])[0],
            self._rows(second),
            self._names,
            margin=margin,
            n_possible=n_possible,
        )

    def loss(self, first: str, second: str) -> float:
        """One-sided p-value over needles of the claim that `first` answers less than `second`."""
        lost = (self.values[first] - self.values[second]).to_numpy()
        return sign_flip_pvalue(lost, self._names)

    @property
    def _names(self) -> list[str]:
        return self.needles.loc[self.values.index].tolist()

    def _rows(self, conditions: Sequence[str]) -> list[list[float]]:
        return self.values[list(conditions)].to_numpy().T.tolist()
