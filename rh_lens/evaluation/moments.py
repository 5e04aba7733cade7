"""Variance of a mean over needles and control draws, from mean squares."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike


class Moments(NamedTuple):
    """A mean, the variance of that mean, and how well the variance is known.

    Args:
        mean: The mean.
        variance: Its variance; NaN with a single needle.
        df: Degrees of freedom of the variance; at least 1, but 0 with a single needle.
    """

    mean: Float[np.ndarray, "..."]
    variance: Float[np.ndarray, "..."]
    df: Float[np.ndarray, "..."]


def crossed_moments(
    values: Float[np.ndarray, "... draw needle"], *, n_possible: int | None = None
) -> Moments:
    r"""Mean over draws and needles, both taken as random samples, and its variance.

    With the mean squares of the two-way layout of $I$ draws and $J$ needles, the variance is
    $(MS_\text{needle} + f\,(MS_\text{draw} - MS_\text{rest})^+) / (I J)$: crossed random effects
    by the method of moments (Searle, Casella and McCulloch 1992, section 4.4). $f = 1 - I / N$
    where $N$ sets exist to draw from, so that all of them are no sample any more. The degrees of
    freedom are Satterthwaite's (1946). One draw is taken as it is: only needles are random then.

    Args:
        values: The mean of each needle's prompts under each draw; leading axes are separate cases.
        n_possible: Sets that the draws are taken from; None: as good as endless many.
    """
    n_draws, n_needles = values.shape[-2:]
    mean, by_needle = values.mean((-2, -1)), values.mean(-2)
    if n_needles == 1:
        return Moments(mean, np.full(mean.shape, np.nan), np.zeros(mean.shape))
    of_needles = n_draws * by_needle.var(-1, ddof=1)
    share = 1.0 if n_possible is None else max(0.0, 1 - n_draws / n_possible)
    if n_draws == 1 or not share:
        variance = of_needles / (n_draws * n_needles)
        return Moments(mean, variance, np.full(mean.shape, n_needles - 1.0))
    by_draw = values.mean(-1)
    of_draws = n_needles * by_draw.var(-1, ddof=1)
    rest = values - by_draw[..., None] - by_needle[..., None, :] + mean[..., None, None]
    rest_df = (n_draws - 1) * (n_needles - 1)
    of_rest = (rest**2).sum((-2, -1)) / rest_df
    more = share * np.maximum(0.0, of_draws - of_rest)
    spread = of_draws**2 / (n_draws - 1) + of_rest**2 / rest_df
    uncertainty = of_needles**2 / (n_needles - 1) + np.where(more > 0, share**2 * spread, 0.0)
    total = of_needles + more
    df = np.where(uncertainty > 0, total**2 / np.where(uncertainty > 0, uncertainty, 1.0), np.inf)
    # Without any spread the needles alone say how little that is known.
    df = np.where(np.isinf(df), n_needles - 1.0, np.maximum(df, 1.0))
    return Moments(mean, total / (n_draws * n_needles), df)


def needle_means(
    values: Float[np.ndarray, "draw prompt"], needles: ArrayLike
) -> Float[np.ndarray, "draw needle"]:
    r"""Each needle's mean under each draw, such that their plain mean is the mean over prompts.

    Where needles have as many prompts each, these are the means. Otherwise a needle with $n_j$ of
    $n$ prompts counts as $m + J (s_j - n_j m) / n$, with $m$ the mean over prompts, $s_j$ the
    needle's sum and $J$ the number of needles: the linearised ratio (Cochran 1977, section 6.4).
    """
    _, code = np.unique(np.asarray(needles), return_inverse=True)
    counts = np.bincount(code)
    sums = np.stack([np.bincount(code, weights=row) for row in values])
    mean = values.mean(1, keepdims=True)
    return mean + len(counts) * (sums - counts * mean) / len(code)
