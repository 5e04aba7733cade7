"""When heads copy: in every context or in some, and at which lengths and depths."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.analysis.trial_groups import (
    Groups,
    ScoresLike,
    group_means,
    group_trials,
    scored_trials,
    trials_of,
)
from rh_lens.checks import require_choice, require_text
from rh_lens.detection import RetrievalScores
from rh_lens.heads import Head, every_head
from rh_lens.representation import short_repr


@dataclass(frozen=True, eq=False)
class HeadActivation:
    """How steadily each head is active over contexts.

    Args:
        scores: The scores that were described.
        frequency: Share of all trials with a score above 0, `[layer head]`; NaN where a head could
            see no answer. For scores that count copies it is the activation frequency, of
            `detection.activation_frequency`: a trial whose answer a head could not see has no copy
            of it, and counts like any other.
        entropy: Entropy of each head's scores over the contexts, in [0, 1], `[layer head]`.
        by: Columns that name a context; none where each trial is one.
    """

    scores: RetrievalScores
    frequency: Float[Tensor, "layer head"]
    entropy: Float[Tensor, "layer head"]
    by: tuple[str, ...]

    __repr__ = short_repr

    def always_active(self) -> list[Head]:
        """Heads with a score above 0 on every trial, in order."""
        return [Head(*place) for place in (self.frequency == 1).nonzero().tolist()]

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each head, best first.

        Returns:
            Columns `layer`, `head`, `label`, `score`, `n_trials`, `activation` (the frequency) and
            `entropy`.
        """
        table = self.scores.to_dataframe()
        places = (table["layer"].to_list(), table["head"].to_list())
        return table.assign(
            activation=self.frequency[places].numpy(), entropy=self.entropy[places].numpy()
        )


def head_activation(
    scores: ScoresLike, trials: pd.DataFrame | None = None, *, by: Sequence[str] = ()
) -> HeadActivation:
    """Activation frequency of every head, and the entropy of its scores over contexts.

    A head that copies in every context alike has entropy 1; one that wakes in a single context has
    0 (Wu et al. 2024, arXiv:2404.15574, call these dynamically activated, without a measure).

    Args:
        scores: Scores of accepted trials; or a run, which brings its trials.
        trials: One row a trial, from `trial_table` or a stored run.
        by: As in `context_entropy`.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The table lacks a column or a trial.

    Examples:
        >>> found = head_activation(result, by=["needle"])
        >>> found.to_dataframe().head(3)
           layer  head label  score  n_trials  activation  entropy
        0      2     2  L2H2    1.0         8         1.0      1.0
        1      2     3  L2H3    1.0         8         1.0      1.0
        2      2     4  L2H4    1.0         8         1.0      1.0
    """
    scores, trials = scored_trials(scores, trials)
    trials_of(scores, trials, by)
    table = scores.to_dataframe().sort_values(["layer", "head"])
    frequency = torch.tensor(table["activation"].to_numpy(), dtype=torch.float64)
    return HeadActivation(
        scores,
        frequency.reshape(scores.values.shape[1:]),
        context_entropy(scores, trials, by=by),
        tuple(by),
    )


def context_entropy(
    scores: ScoresLike, trials: pd.DataFrame | None = None, *, by: Sequence[str] = ()
) -> Float[Tensor, "layer head"]:
    r"""Normalised entropy of each head's scores over contexts.

    With $s_i$ the head's mean score in context $i$ of the $n$ in which it could see the answer, and
    $p_i = s_i / \sum_j s_j$, it is $-\sum_i p_i \log p_i / \log n$: Shannon's entropy over its
    largest value (Pielou 1966, evenness).

    Args:
        scores: Scores of some trials, none below 0; or a run, which brings its trials.
        trials: One row a trial, from `trial_table` or a stored run.
        by: Columns that name a context, such as `("needle",)` or `("context_length",
            "requested_depth")`; none: each trial is a context of its own.

    Returns:
        Values in [0, 1]; NaN where a head never scores, or could see fewer than two contexts.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The table lacks a column or a trial.

    Examples:
        >>> context_entropy(result, by=["needle"])[2].round(decimals=2)
        tensor([   nan, 0.7100, 1.0000, 1.0000, 1.0000, 1.0000, -0.0000,    nan],
               dtype=torch.float64)
    """
    scores, trials = scored_trials(scores, trials)
    known = trials_of(scores, trials, by)
    means = scores.values.double()
    if by:
        means, _ = group_means(means, group_trials(known, by))
    n_contexts = (~means.isnan()).sum(dim=0).double()
    share = means / means.nansum(dim=0)
    entropy = -torch.special.xlogy(share, share).nansum(dim=0)
    defined = (n_contexts > 1) & (means.nansum(dim=0) > 0)
    return (entropy / n_contexts.log()).clamp(0, 1).where(defined, torch.nan)


@dataclass(frozen=True, eq=False)
class ScoreProfile:
    """Scores of every head at each length, depth or needle.

    Args:
        by: Column whose values are the levels.
        levels: The values, sorted.
        score: Mean score at each level; NaN where a head could see no answer.
        activation: Share of the level's trials with a score above 0, as `HeadActivation.frequency`
            over all of them; NaN where a head could see no answer.
        n_trials: Trials in the mean score: those in which a head could see the answer.
    """

    by: str
    levels: tuple[Any, ...]
    score: Float[Tensor, "level layer head"]
    activation: Float[Tensor, "level layer head"]
    n_trials: Int[Tensor, "level layer head"]

    __repr__ = short_repr

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each head and level, in order.

        Returns:
            Columns `layer`, `head`, `label`, the name in `by`, `score`, `activation`, `n_trials`.
        """
        _, n_layers, n_heads = self.score.shape
        heads = every_head(n_layers, n_heads)
        places = [(head, level) for head in heads for level in self.levels]
        return pd.DataFrame(
            {
                "layer": [head.layer for head, _ in places],
                "head": [head.head for head, _ in places],
                "label": [head.label for head, _ in places],
                self.by: [level for _, level in places],
                "score": self.score.flatten(1).T.flatten().numpy(),
                "activation": self.activation.flatten(1).T.flatten().numpy(),
                "n_trials": self.n_trials.flatten(1).T.flatten().numpy(),
            }
        )

    def pivot(self, value: str = "score") -> pd.DataFrame:
        """Heads by levels: one row for each head label, one column for each level.

        Args:
            value: "score", "activation" or "n_trials".

        Raises:
            TypeError: An argument is of another type.
            ValueError: It is another.
        """
        require_choice("value", value, ("score", "activation", "n_trials"))
        table = self.to_dataframe()
        wide = table.pivot(index=["layer", "head"], columns=self.by, values=value)
        return wide.set_axis(table["label"].unique(), axis="index")


def score_profile(
    scores: ScoresLike, trials: pd.DataFrame | None = None, *, by: str = "context_length"
) -> ScoreProfile:
    """Mean score and activation of every head at each level of one column of the trials.

    Args:
        scores: Scores of some trials; or a run, which brings its trials.
        trials: One row a trial, from `trial_table` or a stored run.
        by: Usually "context_length", "requested_depth" or "needle"; of the real "depth" every
            value is a level of its own.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The table lacks a column or a trial.

    Examples:
        >>> found = score_profile(result, by="requested_depth")
        >>> found.levels, found.score[:, 2, 5]
        ((0.0, 1.0), tensor([0.9583, 0.9583], dtype=torch.float64))
    """
    scores, trials = scored_trials(scores, trials)
    require_text("by", by, remedy="Name a column of the table of trials.")
    groups: Groups = group_trials(trials_of(scores, trials, [by]), [by])
    score, n_trials = group_means(scores.values, groups)
    active, _ = group_means((scores.values > 0).double(), groups)
    activation = active.where(n_trials > 0, torch.nan)
    return ScoreProfile(by, groups.names, score, activation, n_trials)
