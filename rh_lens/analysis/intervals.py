"""How far head scores would move with other needles and cells: confidence intervals."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from scipy import stats
from torch import Tensor

from rh_lens.analysis.crossed import crossed_moments
from rh_lens.analysis.trial_groups import ScoresLike, scored_trials
from rh_lens.checks import require_number
from rh_lens.detection import RetrievalScores
from rh_lens.representation import short_repr


@dataclass(frozen=True, eq=False)
class ScoreIntervals:
    """Confidence intervals of every head's score and of the number of retrieval heads.

    Args:
        scores: The scores that they are of.
        low: Lower end of each head's interval; NaN where it saw fewer than two needles.
        high: Upper end.
        confidence: How sure it is that a head's score over all needles reaches the threshold: 1 - p
            of the one-sided test that it is lower. Of heads exactly at the threshold 2.5 % have
            0.975 or more.
        threshold: Score from which on a head counts as a retrieval head.
        n_heads: Heads that reach the threshold, on the trials as they are.
        n_heads_interval: Fewest and most heads that reach it over all needles, by the tests of
            `confidence`, closed over all sets of heads by Simes' test (which takes heads to be
            positively dependent, or independent). Holds the true number at least as often as
            `level` says, usually more often.
        level: Coverage that the intervals aim at.
        n_needles: Needles that they rest on; below six they are wide.
        n_undecided: Heads without an interval, which are in none of these numbers.
    """

    scores: RetrievalScores
    low: Float[Tensor, "layer head"]
    high: Float[Tensor, "layer head"]
    confidence: Float[Tensor, "layer head"]
    threshold: float
    n_heads: int
    n_heads_interval: tuple[int, int]
    level: float
    n_needles: int
    n_undecided: int

    __repr__ = short_repr

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each head, best first.

        Returns:
            Columns `layer`, `head`, `label`, `score`, `low`, `high`, `confidence`, `n_trials`.
        """
        table = self.scores.to_dataframe()
        places = (table["layer"].to_list(), table["head"].to_list())
        names = ("low", "high", "confidence")
        table = table.assign(**{name: getattr(self, name)[places].numpy() for name in names})
        return table[["layer", "head", "label", "score", *names, "n_trials"]]


def score_intervals(
    scores: ScoresLike,
    trials: pd.DataFrame | None = None,
    *,
    threshold: float = 0.1,
    level: float = 0.95,
) -> ScoreIntervals:
    r"""Confidence intervals for needles and cells of the grid drawn anew.

    Needles and cells (length x depth, shared by all needles) are crossed random effects; see
    `CrossedMoments.error` for the variance V of a head's mean m and its degrees of freedom.
    Scores near 0 or 1 spread less, so that the interval holds the $\mu$ for which
    $(m - \mu)^2 \le t^2 V \, g(\mu) / g(m)$ with $g(\mu) = \mu (1 - \mu)$, as Wilson's (1927)
    does for shares; $g(\mu) = \mu$ where scores exceed 1, and $g = 1$ where some are below 0. A
    head without any spread (0 on every trial) is given the largest $n V / g(m)$ of the model's
    heads, 1 without any (then 12 needles of 0 leave [0, 0.24]), and the normal quantile.

    Of simulated 95 % intervals (`make calibrate`, ten cells) 0.93 to 0.97 held the truth with 6, 12
    and 30 needles where needles, cells, or all three carry the variance, for beta-distributed
    needles and for needles resampled from the bundled model; 0.97 to 0.98 (too wide) where trials
    alone carry it and, with 6 and 12 needles, where one needle in ten or fewer scores at all. With
    3 needles 0.92 to 0.99, and wide. What n needles do not show, no interval shows: a needle unlike
    the others that makes up 1 in n of all is missing from a third of runs. A head at the threshold
    gets a `confidence` of 0.95 or more in 3 to 5 % of runs, of 0.05 or less in 1 to 6.5 %.

    Args:
        scores: Scores of accepted trials; or a run, which brings its trials.
        trials: One row a trial, from `trial_table` or a stored run.
        threshold: Score from which on a head counts as a retrieval head.
        level: Coverage that the intervals aim at.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is only one needle, the table lacks a column or a trial, or a number is
            out of range.

    Examples:
        >>> found = score_intervals(result)
        >>> found.n_heads, found.n_heads_interval
        (4, (4, 32))
        >>> found.to_dataframe().query("label == 'L2H5'")[["label", "score", "low", "high"]]
          label     score       low      high
        3  L2H5  0.958333  0.639767  0.996654
    """
    scores, trials = scored_trials(scores, trials)
    require_number("threshold", threshold, above=0)
    require_number("level", level, above=0, below=1)
    moments = crossed_moments(scores, trials)
    n_needles = int(moments.n_needles.max())
    if n_needles < 2:
        raise ValueError(
            f"Expected trials of two needles or more; found {n_needles}. One says nothing about "
            "others: run with more needles."
        )
    mean, seen = moments.mean, moments.n_needles > 1
    variance, df = moments.error()
    shape = _Shape.of(scores.values)
    ratio, flat = _spread_ratio(mean, variance, moments.n_needles, shape)
    df = df.where(~flat, torch.inf)
    quantile = _from_t(stats.t.ppf, torch.full_like(df, (1 + level) / 2), df)
    low, high = shape.solve(mean, quantile.square() * ratio)
    away = (mean - threshold) / (ratio * shape.spread(torch.full_like(mean, threshold))).sqrt()
    confidence = _from_t(stats.t.cdf, away.nan_to_num(nan=0.0), df).where(seen, torch.nan)
    known = confidence[seen].numpy()
    above, below = (_n_false(p, (1 - level) / 2) for p in (1 - known, known))
    return ScoreIntervals(
        scores=scores,
        low=low.where(seen, torch.nan),
        high=high.where(seen, torch.nan),
        confidence=confidence,
        threshold=threshold,
        n_heads=len(scores.heads(threshold)),
        n_heads_interval=(above, len(known) - below),
        level=level,
        n_needles=n_needles,
        n_undecided=int((~seen).sum()),
    )


@dataclass(frozen=True)
class _Shape:
    """How the variance of scores depends on their mean: g of `score_intervals`.

    Args:
        name: "share" (all in [0, 1]), "count" (0 or more) or "real".
    """

    name: str

    @classmethod
    def of(cls, values: Float[Tensor, "trial layer head"]) -> "_Shape":
        """The narrowest range that holds all values, rounding left out of account."""
        known = values[~values.isnan()]
        if (known < -1e-9).any():
            return cls("real")
        return cls("count" if (known > 1 + 1e-9).any() else "share")

    def spread(self, mean: Float[Tensor, "layer head"]) -> Float[Tensor, "layer head"]:
        """g(mean)."""
        if self.name == "real":
            return torch.ones_like(mean)
        mean = mean.clamp(min=0)
        return mean if self.name == "count" else mean * (1 - mean.clamp(max=1))

    def solve(
        self, mean: Float[Tensor, "layer head"], k: Float[Tensor, "layer head"]
    ) -> tuple[Float[Tensor, "layer head"], Float[Tensor, "layer head"]]:
        """Smallest and largest mu with (mean - mu)^2 <= k g(mu)."""
        if self.name == "real":
            return mean - k.sqrt(), mean + k.sqrt()
        # mu^2 (1 + q) - mu (2 mean + k) + mean^2 = 0, with q = k for shares and 0 for counts.
        scale = 1 + k if self.name == "share" else torch.ones_like(k)
        middle = 2 * mean + k
        root = (middle.square() - 4 * scale * mean.square()).clamp(min=0).sqrt()
        low, high = (middle - root) / (2 * scale), (middle + root) / (2 * scale)
        return low.clamp(min=0), high.clamp(max=1) if self.name == "share" else high


def _spread_ratio(
    mean: Float[Tensor, "layer head"],
    variance: Float[Tensor, "layer head"],
    n_needles: Float[Tensor, "layer head"],
    shape: _Shape,
) -> tuple[Float[Tensor, "layer head"], Bool[Tensor, "layer head"]]:
    """V / g(m) of each head, and which heads have no spread and were given that of others."""
    flat = variance < 1e-18
    ratio = variance / shape.spread(mean)
    known = (ratio * n_needles)[~flat & ~ratio.isnan()]
    largest = known.max() if len(known) else ratio.new_tensor(1.0)
    if shape.name == "share":
        largest = largest.clamp(max=1.0)
    return ratio.where(~flat, largest / n_needles), flat


def _from_t(function, at: Tensor, df: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
    """A function of Student's t distribution, with infinite degrees of freedom as normal."""
    return torch.from_numpy(np.asarray(function(at.numpy(), df.numpy())))


def _n_false(p: Float[np.ndarray, " head"], level: float) -> int:
    """Least number of false hypotheses, at this error rate: all less Hommel's (1988) value.

    The largest number i such that the i largest p-values pass Simes' test together could all be
    true (closed testing, Goeman and Solari 2011, Statistical Science 26(4)).
    """
    p = np.sort(p)
    passes = [
        i for i in range(1, len(p) + 1) if (p[len(p) - i :] > level * np.arange(1, i + 1) / i).all()
    ]
    return len(p) - max(passes, default=0)
