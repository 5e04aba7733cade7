"""How far head scores would move with other needles, lengths and depths: a nested bootstrap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.analysis.contexts import group_trials, trials_of
from rh_lens.checks import (
    MAX_REPEATS,
    require_list,
    require_number,
    require_seed,
    require_whole_number,
)
from rh_lens.detection import RetrievalScores
from rh_lens.representation import short_repr

NESTING = ("needle", "context_length", "requested_depth")
"""Columns of a trial table, from what is drawn first to what is drawn last."""


@dataclass(frozen=True, eq=False)
class ScoreIntervals:
    """Bootstrap intervals of every head's score and of the number of retrieval heads.

    Args:
        scores: The scores that were resampled.
        low: Lower end of each head's interval.
        high: Upper end.
        chosen: Share of the resamples in which a head reaches the threshold: how sure it is that it
            is a retrieval head.
        threshold: Score from which on a head counts as a retrieval head.
        n_heads: Heads that reach the threshold, on the trials as they are.
        n_heads_interval: Interval of that number.
        level: Coverage that the intervals aim at.
        n_resamples: Resamples behind them.
        n_needles: Groups of the outermost level; with few, the intervals are too narrow.
    """

    scores: RetrievalScores
    low: Float[Tensor, "layer head"]
    high: Float[Tensor, "layer head"]
    chosen: Float[Tensor, "layer head"]
    threshold: float
    n_heads: int
    n_heads_interval: tuple[float, float]
    level: float
    n_resamples: int
    n_needles: int

    __repr__ = short_repr

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each head, best first.

        Returns:
            Columns `layer`, `head`, `label`, `score`, `low`, `high`, `chosen`, `n_trials`.
        """
        table = self.scores.to_dataframe()
        places = (table["layer"].to_list(), table["head"].to_list())
        columns = {name: getattr(self, name)[places].numpy() for name in ("low", "high", "chosen")}
        table = table.assign(**columns)
        return table[["layer", "head", "label", "score", "low", "high", "chosen", "n_trials"]]


def bootstrap_scores(
    scores: RetrievalScores,
    trials: pd.DataFrame,
    *,
    nesting: Sequence[str] = NESTING,
    threshold: float = 0.1,
    level: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
) -> ScoreIntervals:
    """Percentile intervals from needles drawn anew, their lengths anew, and their depths anew.

    Each resample draws as many needles as there are, with replacement; for each of them as many
    lengths as it has; for each of those as many depths; then takes the mean over the drawn trials
    (Davison and Hinkley 1997, section 3.8). Trials of one needle are alike, so that drawing single
    trials would promise too much.

    With g needles the part of the variance that lies between them comes out (g - 1) / g as large
    as it is, so that few needles give too narrow intervals: of simulated scores with as much
    variance between needles as inside, 95 % intervals held the truth in 83 % of cases with 3
    needles, 91 % with 6, 93 % with 12 and 94 % with 30.

    Args:
        scores: Scores of accepted trials.
        trials: One row a trial, from `trial_table` or a stored run.
        nesting: Columns to draw from, outermost first.
        threshold: Score from which on a head counts as a retrieval head.
        level: Coverage that the intervals aim at.
        n_resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        Intervals, NaN where a head could see no answer.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is only one group in the outermost level, the table lacks a column or a
            trial, or a number is out of range.
    """
    require_list("nesting", nesting, str, at_least=1, remedy="Name columns of the trials.")
    require_number("threshold", threshold)
    require_number("level", level, above=0, below=1)
    require_whole_number("n_resamples", n_resamples, at_least=1, at_most=MAX_REPEATS)
    require_seed("seed", seed)
    table = trials_of(scores, trials, nesting)
    n_outer = table[nesting[0]].nunique()
    if n_outer < 2:
        raise ValueError(
            f"Expected trials of two {nesting[0]} values or more; found {n_outer}. One says "
            "nothing about others: add some, or leave that column out of nesting."
        )
    counts = resample_counts(table, nesting, n_resamples, np.random.default_rng(seed))
    means = _weighted_means(scores.values, torch.from_numpy(counts).double())
    n_chosen = (means >= threshold).sum(dim=(1, 2)).double()
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    # Layer by layer: torch refuses quantiles of more than 16 million numbers at once.
    low, high = torch.stack([layer.nanquantile(ends, dim=0) for layer in means.unbind(1)], dim=1)
    set_low, set_high = n_chosen.quantile(ends).tolist()
    seen = ~scores.mean().isnan()
    return ScoreIntervals(
        scores=scores,
        low=low,
        high=high,
        chosen=(means >= threshold).double().mean(dim=0).where(seen, torch.nan),
        threshold=threshold,
        n_heads=len(scores.heads(threshold)),
        n_heads_interval=(set_low, set_high),
        level=level,
        n_resamples=n_resamples,
        n_needles=n_outer,
    )


def resample_counts(
    table: pd.DataFrame, nesting: Sequence[str], n_resamples: int, rng: np.random.Generator
) -> Int[np.ndarray, "resample trial"]:
    """How often each trial is drawn in each resample.

    Drawing the m members of a group c times over, m with replacement each time, is one multinomial
    draw of c m members. The innermost draw is of single trials, also where several share all the
    columns.

    Args:
        table: One row a trial.
        nesting: Columns, outermost first.
        n_resamples: Number of resamples.
        rng: Source of the draws.
    """
    counts = np.zeros((n_resamples, len(table)), dtype=np.int64)
    _draw(table.reset_index(drop=True), list(nesting), np.ones(n_resamples, np.int64), counts, rng)
    return counts


def _draw(
    table: pd.DataFrame,
    nesting: list[str],
    times: Int[np.ndarray, "resample"],
    counts: Int[np.ndarray, "resample trial"],
    rng: np.random.Generator,
) -> None:
    """Draw the members of one group `times` over and note the trials that this comes to."""
    if not nesting:
        n = len(table)
        counts[:, table.index] = rng.multinomial(times * n, np.full(n, 1 / n))
        return
    groups = group_trials(table, nesting[:1])
    drawn = rng.multinomial(times * groups.n, np.full(groups.n, 1 / groups.n))
    for group in range(groups.n):
        _draw(table[groups.code == group], nesting[1:], drawn[:, group], counts, rng)


def _weighted_means(
    values: Float[Tensor, "trial layer head"], counts: Float[Tensor, "resample trial"]
) -> Float[Tensor, "resample layer head"]:
    """Mean of each resample over the drawn trials that a head could see; NaN without any."""
    flat = values.double().flatten(1)
    total = counts @ flat.nan_to_num(nan=0.0)
    weight = counts @ (~flat.isnan()).double()
    means = (total / weight).where(weight > 0, torch.nan)
    return means.unflatten(1, values.shape[1:])
