"""Permutation tests: of heads against heads that could have been drawn, of needles by signs."""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from rh_lens.checks import (
    MAX_REPEATS,
    require_labels,
    require_number,
    require_numbers,
    require_seed,
    require_whole_number,
)
from rh_lens.evaluation.intervals import ROUNDING

# With more needles the signs are drawn: two to the twentieth are a million sums.
_MOST_EXACT = 20


def permutation_pvalue(observed: float, draws: ArrayLike) -> float:
    r"""Chance that heads drawn at random are at least as harmful: $(b + 1) / (n + 1)$.

    $b$ of the $n$ draws have a value of at most `observed`. The heads in question are counted as
    one more draw, since under the null hypothesis they are one: without the 1, no draw as harmful
    would give $p = 0$, which no finite number of draws can show (Phipson and Smyth 2010,
    arXiv:1603.05766). The smallest value is therefore $1 / (n + 1)$.

    The value holds its level when the heads in question could have been any of the sets: draw
    them from one family that holds the set in question, as `draw_rankings` does. Disjoint controls
    are no such draws: where one head of eight is harmful, three heads that happen to hold it beat
    every set disjoint from them.

    Args:
        observed: The value, such as mean recall, without the heads in question; lower is worse.
        draws: The same for each draw; the draws are distinct from the set and from each other.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no draw, or a value is NaN.

    Examples:
        >>> permutation_pvalue(0.1, [0.9, 1.0, 0.8, 0.95])
        0.2
    """
    return (count_as_harmful(observed, draws) + 1) / (len(np.asarray(draws)) + 1)


def count_as_harmful(observed: float, draws: ArrayLike) -> int:
    """Draws whose value is at most the observed one, but for rounding.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no draw, or a value is NaN.
    """
    return int((_checked(observed, draws) <= observed + ROUNDING).sum())


def stop_after(n_draws: int, level: float = 0.05) -> int:
    """Draws as harmful as the top that settle a test: more, and `level` is out of reach.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are fewer than 0 draws, or the level is not between 0 and 1.

    Examples:
        >>> stop_after(n_draws=99, level=0.05)
        5
    """
    require_whole_number("n_draws", n_draws, at_least=0, at_most=MAX_REPEATS)
    require_number("level", level, above=0, below=1)
    return max(1, int(np.floor(level * (n_draws + 1) + ROUNDING)))


def sequential_pvalue(observed: float, draws: ArrayLike, *, n_as_harmful: int) -> float:
    r"""P-value of draws that stop once `n_as_harmful` of them were as harmful as the observed.

    $h / l$ where the $l$-th draw is the $h$-th that is as harmful; $(b + 1) / (n + 1)$ where all
    $n$ draws were made and fewer were (Besag and Clifford 1991). It holds its level as the test
    with all draws does: a hopeless case costs few draws. Draws after the stop do not count.

    Args:
        observed: The value without the heads in question; lower is worse.
        draws: The same for each draw, in the order drawn.
        n_as_harmful: $h$; see `stop_after`.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no draw, a value is NaN, or `n_as_harmful` is below 1.

    Examples:
        >>> sequential_pvalue(0.5, [0.9, 0.4, 1.0, 0.3], n_as_harmful=2)
        0.5
    """
    values = _checked(observed, draws)
    remedy = "Take stop_after(n_draws)."
    require_whole_number("n_as_harmful", n_as_harmful, at_least=1, remedy=remedy)
    places = np.flatnonzero(values <= observed + ROUNDING)
    if len(places) >= n_as_harmful:
        return n_as_harmful / (int(places[n_as_harmful - 1]) + 1)
    return (len(places) + 1) / (len(values) + 1)


def step_down_pvalues(
    observed: Float[np.ndarray, " k"], draws: Float[np.ndarray, "draw k"]
) -> Float[np.ndarray, " k"]:
    r"""P-value of each K, corrected over all Ks by the largest deviation of each draw.

    A draw's deviation at a K is how far its value lies below the mean of all draws and the observed
    there, in the unit of the values. The K with the largest observed deviation is compared with
    each draw's largest over all Ks, the next with the largest over the Ks that are left, and so on;
    no value is smaller than one before it (Westfall and Young 1993, algorithm 4.1). However the Ks
    depend on each other, $1 / (n + 1)$ stays within reach: a draw is a whole curve.

    Args:
        observed: Value of the heads in question at each K; lower is worse.
        draws: Values of each drawn curve.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no draw, or a value is NaN.

    Examples:
        >>> draws = np.array([[1.0, 1.0], [0.9, 0.8], [1.0, 0.9]])
        >>> step_down_pvalues(np.array([1.0, 0.1]), draws)
        array([1.  , 0.25])
    """
    observed = require_numbers("observed", observed)
    draws = require_numbers("draws", draws, n_axes=(2,))
    if draws.shape[1] != len(observed):
        raise ValueError(
            f"Expected draws with a value at each of the {len(observed)} Ks observed; found "
            f"{draws.shape[1]}. Give whole curves."
        )
    every = np.concatenate([observed[None], draws])
    deviation = every.mean(0) - every
    order = np.argsort(-deviation[0], kind="stable")
    corrected = np.empty(len(observed))
    largest = 0.0
    for place, k in enumerate(order):
        rivals = deviation[1:, order[place:]].max(1)
        n_as_far = int((rivals >= deviation[0, k] - ROUNDING).sum())
        largest = max(largest, (n_as_far + 1) / len(every))
        corrected[k] = largest
    return corrected


def sign_flip_pvalue(
    differences: ArrayLike, needles: ArrayLike, *, n_flips: int = 99_999, seed: int = 0
) -> float:
    r"""Permutation test over needles: does a condition answer less than another?

    Under the null hypothesis the two conditions could change places needle by needle, so that each
    needle's summed difference keeps its size and takes either sign. The p-value is the share of
    sign patterns with a sum of at most the observed one (Fisher 1935): all $2^J$ of them up to
    20 needles, drawn beyond. The smallest is $2^{-J}$ with $J$ needles that differ. One-sided.

    Args:
        differences: For each prompt, the value under the condition minus that under the other.
        needles: What each prompt belongs to, such as its needle.
        n_flips: Sign patterns to draw where not all are tried.
        seed: Seed of the draws.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no difference, one is NaN, or the needles are not as many.

    Examples:
        >>> sign_flip_pvalue([-1.0, -0.5, -1.0, -1.0], needles=list("abcd"))
        0.0625
    """
    values = require_numbers("differences", differences)
    names = require_labels("needles", needles, len(values), "differences")
    require_whole_number("n_flips", n_flips, at_least=1, at_most=MAX_REPEATS)
    require_seed("seed", seed)
    _, code = np.unique(names, return_inverse=True)
    sums = np.bincount(code, weights=values)
    sums = sums[np.abs(sums) > ROUNDING]
    if len(sums) <= _MOST_EXACT:
        totals = np.zeros(1)
        for one in sums:
            totals = np.concatenate([totals - one, totals + one])
        return float((totals <= sums.sum() + ROUNDING).mean())
    rng = np.random.default_rng(seed)
    n_as_low = 0
    for start in range(0, n_flips, 10_000):
        signs = rng.choice([-1.0, 1.0], (min(10_000, n_flips - start), len(sums)))
        n_as_low += int((signs @ sums <= sums.sum() + ROUNDING).sum())
    return (n_as_low + 1) / (n_flips + 1)


def _checked(observed: float, draws: ArrayLike) -> Float[np.ndarray, " draw"]:
    require_number("observed", observed)
    return require_numbers("draws", draws)
