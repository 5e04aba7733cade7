"""A score for every head on every trial."""

from dataclasses import dataclass
from functools import cached_property
from numbers import Integral

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import (
    require_list,
    require_number,
    require_tensor,
    require_text,
    require_type,
    require_whole_number,
)
from rh_lens.detection.exact_mean import exact_mean
from rh_lens.heads import Head, every_head
from rh_lens.representation import html_table
from rh_lens.runtime import Bridge, attention_layers, require_bridge


@dataclass(frozen=True)
class ScoreOrigin:
    """The file that scores were read from.

    Args:
        path: The file, as it was named.
        sha256: Hexadecimal SHA-256 of its bytes.
        format: What the file looks like, such as "head lists".
        n_samples: Scores in each head's list; None where the file holds one value for each head.
    """

    path: str
    sha256: str
    format: str
    n_samples: int | None


@dataclass(frozen=True, eq=False)
class RetrievalScores:
    """Scores of every head on every trial; a head's retrieval score is their mean.

    Args:
        values: Scores, in fp64; NaN where a head could not see the answer.
        name: Which definition, such as "position".
        trials: Index of each trial.
        origin: What the scores were read from, if it was a file.

    Raises:
        TypeError: A field has the wrong type.
        ValueError: There is no trial, their number differs from that of the values, or a score is
            infinite.
    """

    values: Float[Tensor, "trial layer head"]
    name: str
    trials: tuple[int, ...]
    origin: ScoreOrigin | None = None

    def __post_init__(self) -> None:
        require_tensor("values", self.values, ("trial", "layer", "head"), empty=True)
        require_text("name", self.name)
        require_list("trials", self.trials, Integral, remedy="Pass the index of each trial.")
        if self.origin is not None:
            require_type("origin", self.origin, ScoreOrigin)
        if not self.trials or len(self.values) != len(self.trials):
            raise ValueError(
                "Expected scores of one trial or more, with an index each; found "
                f"{len(self.values)} rows of scores and {len(self.trials)} indices. "
                "Score accepted trials."
            )
        if n_infinite := int(self.values.isinf().sum()):
            raise ValueError(
                "Expected scores that are finite, or NaN where a head could not see the answer; "
                f"found {n_infinite} infinite ones. Leave these trials out."
            )

    def __repr__(self) -> str:
        n_trials, n_layers, n_heads = self.values.shape
        best = ", ".join(self._shown(head) for head in self.ranking()[:5])
        return (
            f"RetrievalScores({self.name!r}: {n_trials} trials, {n_layers} layers of {n_heads} "
            f"heads; best {best or 'none'})"
        )

    def _repr_html_(self) -> str:
        return html_table(self.to_dataframe(), f"{self.name} score, {len(self.trials)} trials")

    def _shown(self, head: Head) -> str:
        return f"{head.label} {float(self.mean()[head.layer, head.head]):.3f}"

    def mean(self) -> Float[Tensor, "layer head"]:
        """Retrieval score: mean over the trials a head could see; NaN where it saw none.

        Nothing is rounded but the result (`exact_mean`), so that neither a threshold nor a tie
        depends on the order of the trials.
        """
        return self._mean.clone()

    @cached_property
    def _mean(self) -> Float[Tensor, "layer head"]:
        return exact_mean(self.values)

    def ranking(self) -> list[Head]:
        """All heads that have a score, best first; exact ties in the order of layer and head."""
        mean = self._mean.nan_to_num(nan=-torch.inf)
        order = mean.flatten().argsort(descending=True, stable=True).tolist()
        n_heads = mean.shape[1]
        heads = [Head(index // n_heads, index % n_heads) for index in order]
        return heads[: int((~self._mean.isnan()).sum())]

    def top(self, k: int) -> list[Head]:
        """The k heads with the highest retrieval scores, or all when there are fewer.

        Raises:
            TypeError: An argument is of another type.
            ValueError: k is below 1.
        """
        require_whole_number("k", k, at_least=1, remedy="Ask for one head or more.")
        return self.ranking()[:k]

    def heads(self, threshold: float = 0.1) -> list[Head]:
        """Retrieval heads: those with a score of at least `threshold`, best first.

        0.1 is the choice of Wu et al. 2024 (arXiv:2404.15574).

        Raises:
            TypeError: An argument is of another type.
            ValueError: The threshold is not finite.
        """
        require_number("threshold", threshold)
        mean = self._mean
        return [head for head in self.ranking() if mean[head.layer, head.head] >= threshold]

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each head, best first, heads without a score last.

        Returns:
            Columns `layer`, `head`, `label`, `score` (the mean), `n_trials` (trials in the mean)
            and `activation` (share of all trials with a score above 0; for scores that count
            copies, the activation frequency). `score` and `activation` are NaN without any trial.
        """
        n_layers, n_heads = self.values.shape[1:]
        heads = every_head(n_layers, n_heads)
        seen = (~self.values.isnan()).sum(dim=0)
        active = (self.values > 0).double().mean(dim=0)
        table = pd.DataFrame(
            {
                "layer": [head.layer for head in heads],
                "head": [head.head for head in heads],
                "label": [head.label for head in heads],
                "score": self._mean.flatten().numpy(),
                "n_trials": seen.flatten().numpy(),
                "activation": active.where(seen > 0, torch.nan).flatten().numpy(),
            }
        )
        return table.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def require_scores_of(scores: RetrievalScores, model: Bridge) -> None:
    """Refuse scores of a model with other layers or heads.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The numbers of layers or heads differ.

    Examples:
        >>> require_scores_of(scores, model)
    """
    require_scores(scores)
    require_bridge(model)
    n_layers, n_heads = model.cfg.n_layers, model.cfg.n_heads
    # Score files leave out layers without attention, and nothing tells of those at the end.
    possible = {(n_layers, n_heads), (attention_layers(model)[-1] + 1, n_heads)}
    found = tuple(scores.values.shape[1:])
    if found not in possible:
        raise ValueError(
            f"Expected scores of {n_layers} layers of {n_heads} heads, as the model has; found "
            f"{found[0]} of {found[1]}. Name the model that they belong to with --model."
        )


def require_scores(scores: object, name: str = "scores") -> None:
    """Refuse what is no table of scores.

    Raises:
        TypeError: It is something else, such as the path of a score file.

    Examples:
        >>> require_scores([0.5, 0.1])
        Traceback (most recent call last):
            ...
        TypeError: Expected scores to be a RetrievalScores; found [0.5, 0.1] (list). Take ...
    """
    remedy = "Take result.scores, or read a file with read_head_scores(path)."
    require_type(name, scores, RetrievalScores, remedy=remedy)
