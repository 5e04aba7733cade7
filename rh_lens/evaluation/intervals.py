"""Intervals of recall and of differences in recall, with the needle as the unit."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import stats

from rh_lens.checks import (
    require_flag,
    require_labels,
    require_number,
    require_numbers,
    require_whole_number,
)
from rh_lens.evaluation.moments import Moments, crossed_moments, needle_means

# Means of the same values, summed in another order, differ by less than this.
ROUNDING = 1e-9


class Estimate(NamedTuple):
    """A mean and its interval.

    Args:
        mean: The mean over prompts (and draws).
        low: Lower end.
        high: Upper end.
        n_needles: Needles, or other groups of prompts, that it rests on.
    """

    mean: float
    low: float
    high: float
    n_needles: int

    def named(self, name: str) -> dict[str, float]:
        """`name`, `name_low` and `name_high`: columns of a table."""
        return {name: self.mean, f"{name}_low": self.low, f"{name}_high": self.high}


def mean_interval(
    values: ArrayLike,
    needles: ArrayLike,
    *,
    level: float = 0.95,
    n_possible: int | None = None,
) -> Estimate:
    r"""Mean of values in [0, 1] and its interval over needles.

    Jeffreys's interval of a share with the effective number of prompts for their number
    (Korn and Graubard 1998, with Jeffreys's ends for Clopper and Pearson's):
    $n^* = m (1 - m) / V$ with $m$ the mean and $V$ its variance over needles, at least the number
    of needles and at most that of prompts, times the squared ratio of the normal to the t quantile.
    Means of 0 and 1 have a width too, the exact one of needles that fail whole (Brown, Cai and
    DasGupta 2001, section 4.1.1): all right on 12 needles gives [0.74, 1]. One needle says nothing
    about others: its interval is [0, 1].

    Simulated coverage is in `tests/calibration`. Near 0 and 1 it exceeds the level: few counts are
    possible there, and what was never seen to vary is taken to vary by whole needles.

    Args:
        values: A number in [0, 1] (or bool) for each prompt; or a row of them for each draw.
        needles: What each prompt belongs to, such as its needle.
        level: Share of samples whose interval holds the truth.
        n_possible: Sets that the draws are taken from: all of them are no sample any more. None:
            as good as endless many.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no value, one is NaN or outside [0, 1], the needles are not as many as
            the prompts, or `level` is not between 0 and 1.

    Examples:
        >>> mean_interval([1.0] * 12, list(range(12)))
        Estimate(mean=1.0, low=0.7353515306029488, high=1.0, n_needles=12)
    """
    _require_possible(n_possible)
    rows = _rows("values", values, "needles", needles, level, most=1.0)
    means = needle_means(rows, needles)
    moments = crossed_moments(means[None], n_possible=n_possible)
    (low,), (high,) = share_ends(moments, means.shape[-1], rows.size, level)
    return Estimate(float(rows.mean()), float(low), float(high), means.shape[-1])


def difference_interval(
    first: ArrayLike,
    second: ArrayLike,
    needles: ArrayLike,
    *,
    level: float = 0.95,
    n_possible: int | None = None,
    exact: bool = False,
) -> Estimate:
    """Mean difference between two conditions on the same prompts, and its interval over needles.

    The share of what only the first answers and that of what only the second answers have each the
    interval of `mean_interval`; both are joined by square and add with their covariance over
    needles (Zou and Donner 2008; Newcombe 1998 for paired shares). No difference on 12 needles
    gives [-0.26, 0.26]: others may differ.

    With several draws of the second condition, draws and needles are crossed random effects, see
    `crossed_moments`. One draw is compared with as it is.

    Args:
        first: A number in [0, 1] (or bool) for each prompt under one condition.
        second: The same prompts, in the same order, under the other; or a row for each draw.
        needles: What each prompt belongs to, such as its needle.
        level: Share of samples whose interval holds the truth.
        n_possible: Sets that the draws are taken from: all of them are no sample any more. None:
            as good as endless many.
        exact: Whether each end by itself is to keep its level: wider, for one-sided questions.

    Raises:
        TypeError: An argument is of another type.
        ValueError: As `mean_interval`; or the conditions have different numbers of prompts.

    Examples:
        >>> first, second = [1.0, 1.0, 1.0, 0.0, 1.0, 1.0], [0.0] * 6
        >>> difference_interval(first, second, needles=list("abcdef"))
        Estimate(mean=0.8333333333333334, low=0.1489903185470689, high=0.989978902492281,
         n_needles=6)
    """
    _require_possible(n_possible)
    require_flag("exact", exact)
    one, two = (
        _rows("first", first, "needles", needles, level, most=1.0),
        _rows("second", second, "needles", needles, level, most=1.0),
    )
    gains = needle_means(np.maximum(one - two, 0), needles)
    losses = needle_means(np.maximum(two - one, 0), needles)
    (low,), (high,) = difference_ends(
        gains[None], losses[None], two.size, level, n_possible, exact=exact
    )
    return Estimate(float((one - two).mean()), float(low), float(high), gains.shape[-1])


def unbounded_interval(values: ArrayLike, groups: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Mean of any numbers, and Student's interval over groups, such as losses of texts.

    One group says nothing about others: its interval is all numbers. Simulated coverage of 95 %
    with 6 / 16 / 30 groups: 0.95 for normal numbers, 0.93 / 0.94 / 0.95 for skewed ones, and 0.77 /
    0.92 / 0.93 where one group in five is much larger, which six groups often miss.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no value, one is NaN, the groups are not as many, or `level` is not
            between 0 and 1.

    Examples:
        >>> unbounded_interval([0.1, 0.3, 0.2, 0.4], groups=list("abcd"))
        Estimate(mean=0.25, low=0.04457397432394794, high=0.45542602567605206, n_needles=4)
    """
    rows = _rows("values", values, "groups", groups, level, most=None)
    means = needle_means(rows, groups)
    mean, n_groups = float(rows.mean()), means.shape[-1]
    if n_groups == 1:
        return Estimate(mean, -math.inf, math.inf, 1)
    _, variance, df = crossed_moments(means[None])
    half = float(stats.t.ppf((1 + level) / 2, df[0]) * np.sqrt(variance[0]))
    return Estimate(mean, mean - half, mean + half, n_groups)


def share_ends(
    moments: Moments, n_needles: int, n_values: int, level: float, *, exact: bool = False
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Both ends of `mean_interval`, for many cases at once.

    Args:
        moments: Of the needles' means.
        n_needles: Needles.
        n_values: Prompts, times draws where there are several.
        level: Coverage.
        exact: For ends of which each by itself keeps its level: those of Clopper and Pearson, with
            half a needle more lost in the variance, of which few losses know too little.
    """
    share = np.clip(moments.mean, 0.0, 1.0)
    if n_needles == 1:
        return np.zeros_like(share), np.ones_like(share)
    none, all_ = share < ROUNDING, share > 1 - ROUNDING
    variance = moments.variance
    if exact:
        variance = variance + (np.maximum(share, 1 - share) / (2 * n_needles)) ** 2
    tail, known = (1 - level) / 2, variance > ROUNDING**2
    n = np.where(known, share * (1 - share) / np.where(known, variance, 1.0), n_values)
    n = np.clip(n, n_needles, n_values)
    n = n * (stats.norm.ppf(tail) / stats.t.ppf(tail, moments.df)) ** 2
    # Clopper and Pearson's ends are open at 0 and 1, which are put in below.
    right, wrong = np.where(none, 1.0, n * share), np.where(all_, 1.0, n * (1 - share))
    half, more = (0.0, 1.0) if exact else (0.5, 0.5)
    low = np.minimum(stats.beta.ppf(tail, right + half, wrong + more), share)
    high = np.maximum(stats.beta.ppf(1 - tail, right + more, wrong + half), share)
    # Nothing varies: needles that fail whole are the worst case, and the binomial law is exact.
    rest = tail ** (1 / n_needles)
    low = np.where(none, 0.0, np.where(all_, rest, low))
    return low, np.where(all_, 1.0, np.where(none, 1 - rest, high))


def difference_ends(
    gains: Float[np.ndarray, "... draw needle"],
    losses: Float[np.ndarray, "... draw needle"],
    n_values: int,
    level: float,
    n_possible: int | None = None,
    *,
    exact: bool = False,
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Both ends of `difference_interval`, for many cases at once.

    Args:
        gains: Each needle's mean of what the first condition answers more.
        losses: Each needle's mean of what it answers less.
        n_values: Prompts times draws.
        level: Coverage.
        n_possible: Sets that the draws are taken from; None: as good as endless many.
        exact: See `share_ends`.
    """
    n_needles = gains.shape[-1]
    more, less, both = (
        crossed_moments(values, n_possible=n_possible) for values in (gains, losses, gains - losses)
    )
    if n_needles == 1:
        return np.full(both.mean.shape, -1.0), np.full(both.mean.shape, 1.0)
    # The difference's degrees of freedom: a part without spread would pretend to more.
    more_low, more_high, less_low, less_high = (
        end
        for part in (more, less)
        for end in share_ends(part._replace(df=both.df), n_needles, n_values, level, exact=exact)
    )
    product = more.variance * less.variance
    together = (more.variance + less.variance - both.variance) / 2
    correlation = np.where(product > 0, together / np.sqrt(np.where(product > 0, product, 1)), 0)
    correlation = np.clip(correlation, -1.0, 1.0)
    low = both.mean - _joined(more.mean - more_low, less_high - less.mean, correlation)
    high = both.mean + _joined(more_high - more.mean, less.mean - less_low, correlation)
    return np.maximum(low, -1.0), np.minimum(high, 1.0)


def _joined(
    one: Float[np.ndarray, "..."],
    two: Float[np.ndarray, "..."],
    correlation: Float[np.ndarray, "..."],
) -> Float[np.ndarray, "..."]:
    """Half an interval of a difference from halves of its parts' intervals."""
    return np.sqrt(np.maximum(0.0, one**2 + two**2 - 2 * correlation * one * two))


def _rows(
    name: str,
    values: ArrayLike,
    labels: str,
    needles: ArrayLike,
    level: float,
    *,
    most: float | None,
) -> Float[np.ndarray, "draw prompt"]:
    require_number("level", level, above=0, below=1)
    least = None if most is None else 0.0
    rows = require_numbers(name, values, n_axes=(1, 2), least=least, most=most)
    require_labels(labels, needles, rows.shape[-1], f"numbers of `{name}`")
    return np.atleast_2d(rows)


def _require_possible(n_possible: int | None) -> None:
    if n_possible is not None:
        require_whole_number("n_possible", n_possible, at_least=1)
