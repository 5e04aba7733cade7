"""A number for every head and example: what every detector of this room gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_list, require_text, require_type, require_whole_number
from rh_lens.detection import RetrievalScores, exact_mean
from rh_lens.heads import Head
from rh_lens.representation import html_table


@dataclass(frozen=True, eq=False)
class HeadScores:
    """Scores of every head on every example; a head's score is their mean.

    Args:
        values: Scores in fp64; NaN where a head has none, as in layers without attention.
        name: What was measured, such as "induction".
        units: What each example is counted as: the name of its needle, or of its sequence.
            Examples of one unit are alike, and intervals are over units.

    Raises:
        TypeError: A field is of another type.
        ValueError: There is no example, or the units are not as many.
    """

    values: Float[Tensor, "example layer head"]
    name: str
    units: tuple[str, ...]

    def __post_init__(self) -> None:
        require_type("values", self.values, Tensor, remedy="Pass a tensor [example, layer, head].")
        require_text("name", self.name)
        require_list("units", self.units, str, at_least=1)
        if self.values.ndim != 3 or len(self.values) != len(self.units):
            raise ValueError(
                "Expected values [example, layer, head] with a unit for each example; found "
                f"{list(self.values.shape)} and {len(self.units)} units. Name one for each row."
            )

    def __repr__(self) -> str:
        n_examples, n_layers, n_heads = self.values.shape
        best = [f"{head} {self._mean[head.layer, head.head]:.3f}" for head in self.ranking()[:5]]
        return (
            f"HeadScores({self.name!r}: {n_examples} examples, {n_layers} layers of {n_heads} "
            f"heads; highest {', '.join(best) or 'none'})"
        )

    def _repr_html_(self) -> str:
        return html_table(self.to_dataframe(), f"{self.name}, {len(self.units)} examples")

    def mean(self) -> Float[Tensor, "layer head"]:
        """Mean over the examples in which a head has a score; NaN where it has none."""
        return self._mean.clone()

    @cached_property
    def _mean(self) -> Float[Tensor, "layer head"]:
        return exact_mean(self.values.double())

    def ranking(self) -> list[Head]:
        """All heads that have a score, highest first; ties in the order of layer and head."""
        return self._as_retrieval.ranking()

    def top(self, k: int) -> list[Head]:
        """The k heads with the highest scores, or all when there are fewer.

        Raises:
            TypeError: k is no whole number.
            ValueError: It is below 1.
        """
        require_whole_number("k", k, at_least=1, remedy="Ask for one head or more.")
        return self.ranking()[:k]

    def unit_means(self) -> "HeadScores":
        """The same with one example a unit: the mean over its examples."""
        names = tuple(dict.fromkeys(self.units))
        rows = [[place for place, unit in enumerate(self.units) if unit == n] for n in names]
        values = torch.stack([exact_mean(self.values[row].double()) for row in rows])
        return HeadScores(values, self.name, names)

    def to_dataframe(self) -> pd.DataFrame:
        """One row a head, highest first: layer, head, label, score, n_examples (in the mean)."""
        table = self._as_retrieval.to_dataframe().drop(columns="activation")
        return table.rename(columns={"n_trials": "n_examples"})

    def as_retrieval_scores(self) -> RetrievalScores:
        """The same for `rh_lens.analysis`, with one trial a unit."""
        return self.unit_means()._as_retrieval

    @cached_property
    def _as_retrieval(self) -> RetrievalScores:
        return RetrievalScores(self.values.double(), self.name, tuple(range(len(self.units))))


def from_retrieval_scores(scores: RetrievalScores, units: Sequence[str]) -> HeadScores:
    """Scores of a detection, in the form of this room.

    Args:
        scores: Such as `result.scores`.
        units: The needle of each trial.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The units are not as many as the trials.
    """
    require_type("scores", scores, RetrievalScores, remedy="Take result.scores.")
    return HeadScores(scores.values, scores.name, require_list("units", units, str))
