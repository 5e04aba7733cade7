"""How sure one can be of a difference: intervals, p-values and their correction."""

from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import stats

# Means of the same values, summed in another order, differ by less than this.
ROUNDING = 1e-9


def bootstrap_interval(
    values: ArrayLike,
    *,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean.

    Resamples are drawn with replacement, each as large as the sample; the interval holds the middle
    `level` of their means. A single value, or equal ones, give a width of zero: the sample shows no
    spread, which is no proof that there is none.

    Args:
        values: One number (or bool) for each trial.
        level: Share of the resampled means inside the interval, between 0 and 1.
        n_resamples: Resamples to draw.
        seed: Seed of the draws.
        groups: What each trial belongs to, such as its needle: whole groups are then drawn, since
            trials of one group are alike. Needs more than one group to show any spread.

    Returns:
        Lower and upper end.

    Raises:
        ValueError: There is no value, one is NaN, there are more or fewer groups than values, or
            `level` is not between 0 and 1.
    """
    sample = np.asarray(values, dtype=float)
    names = np.arange(len(sample)) if groups is None else np.asarray(groups)
    if not len(sample) or np.isnan(sample).any() or not 0 < level < 1 or len(names) != len(sample):
        raise ValueError(
            f"Expected one or more numbers, a group for each and a level between 0 and 1; found "
            f"{len(sample)} values, {int(np.isnan(sample).sum())} of them NaN, {len(names)} "
            f"groups and level {level}. Leave trials without a value out."
        )
    _, group = np.unique(names, return_inverse=True)
    counts = np.bincount(group)
    sums = np.bincount(group, weights=sample)
    if len(sums) == 1:
        return float(sample.mean()), float(sample.mean())
    interval = stats.bootstrap(
        (sums, counts),
        lambda sums, counts, axis: sums.sum(axis) / counts.sum(axis),
        paired=True,
        vectorized=True,
        confidence_level=level,
        n_resamples=n_resamples,
        # Few resamples at a time: 2,000 of 10,000 trials would take 300 MB at once.
        batch=max(1, 1_000_000 // len(sums)),
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def mcnemar_pvalue(
    first: ArrayLike,
    second: ArrayLike,
    *,
    alternative: Literal["two-sided", "less"] = "two-sided",
) -> float:
    """McNemar's exact test on the same prompts under two conditions.

    Only prompts that come out differently count: if the conditions were alike, each would fall to
    either side with a chance of 1/2 (binomial test). Without such prompts the value is 1.

    Args:
        first: Whether each prompt was answered under one condition.
        second: The same prompts, in the same order, under the other.
        alternative: "less" asks only whether `first` answers fewer prompts than `second`.

    Raises:
        ValueError: The conditions have different numbers of prompts.
    """
    one, two = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if len(one) != len(two):
        raise ValueError(
            f"Expected the same prompts under both conditions; found {len(one)} and {len(two)}. "
            "Pair them first."
        )
    only_first, only_second = int((one & ~two).sum()), int((~one & two).sum())
    n_different = only_first + only_second
    if not n_different:
        return 1.0
    return float(stats.binomtest(only_first, n_different, alternative=alternative).pvalue)


def sign_pvalue(first: ArrayLike, second: ArrayLike, groups: ArrayLike) -> float:
    """Sign test over groups of trials: whether `first` has the lower mean in more of them.

    Trials of one needle are alike, so a test that counts trials, such as McNemar's, is surer than
    it should be. Here each needle counts once, and its grid cells only make its mean more exact.
    One-sided and exact; groups with equal means don't count, and without others the value is 1.

    Args:
        first: A number (or bool) for each trial under one condition.
        second: The same trials, in the same order, under the other.
        groups: What each trial belongs to, such as its needle.

    Raises:
        ValueError: The three differ in length.
    """
    one, two, names = np.asarray(first, float), np.asarray(second, float), np.asarray(groups)
    if not len(one) == len(two) == len(names):
        raise ValueError(
            "Expected the same trials under both conditions, and a group for each; found "
            f"{len(one)}, {len(two)} and {len(names)}. Pair them first."
        )
    _, group = np.unique(names, return_inverse=True)
    difference = np.bincount(group, weights=one - two) / np.maximum(np.bincount(group), 1)
    return mcnemar_pvalue(difference > ROUNDING, difference < -ROUNDING, alternative="less")


def holm(pvalues: ArrayLike) -> Float[np.ndarray, "test"]:
    r"""Holm's step-down correction of several p-values.

    The $i$-th smallest of $m$ is multiplied by $m - i + 1$; none is made smaller than one before
    it, and none exceeds 1 (Holm 1979). The chance of any false rejection stays below the level,
    however the tests depend on each other.

    Args:
        pvalues: One for each test; NaN marks a test that was not made, and stays.

    Returns:
        Corrected values, `[test]`, in the order given.
    """
    values = np.asarray(pvalues, dtype=float)
    corrected = np.full(len(values), np.nan)
    made = np.flatnonzero(~np.isnan(values))
    order = made[np.argsort(values[made], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * factors))
    return corrected
