"""Equivalence tests: is a difference surely too small to matter?"""

from collections.abc import Callable

from numpy.typing import ArrayLike
from scipy import optimize

from rh_lens.checks import require_number
from rh_lens.evaluation.intervals import difference_interval

# P-values that are told apart: quantiles lose their digits beyond the one, intervals their width
# beyond the other.
_SMALLEST, _LARGEST = 1e-9, 0.49


def equivalence_pvalue(
    first: ArrayLike,
    second: ArrayLike,
    needles: ArrayLike,
    *,
    margin: float,
    n_possible: int | None = None,
) -> float:
    r"""Two one-sided tests: is the mean difference inside $\pm$ the margin?

    "Nothing changes" is a claim of its own: that no difference was found does not show it. The null
    hypothesis is a difference of at least the margin, either way (Schuirmann 1987). The p-value is
    the smallest $\alpha$ whose interval of level $1 - 2\alpha$ lies inside the margin, and so
    agrees with `difference_interval(..., exact=True)`: $p \le 0.05$ where its 90 % interval is
    inside. It is 1 where it would exceed 0.49. Without any difference, 0.05 is reached from
    14 needles on for a margin of 0.2, from 29 for 0.1, from 59 for 0.05.

    Args:
        first: A number in [0, 1] (or bool) for each prompt under one condition.
        second: The same prompts, in the same order, under the other; or a row for each draw.
        needles: What each prompt belongs to, such as its needle.
        margin: Largest difference that does not matter, in the same unit.
        n_possible: Sets that the draws are taken from; None: as good as endless many.

    Raises:
        TypeError: An argument is of another type.
        ValueError: As `difference_interval`; or the margin is not between 0 and 1.

    Examples:
        >>> same = [1.0, 0.5] * 10
        >>> round(equivalence_pvalue(same, same, list(range(20)), margin=0.2), 3)
        0.012
    """
    remedy = "Give the largest difference in recall that does not matter, such as 0.1."
    require_number("margin", margin, above=0, below=1, remedy=remedy)

    def beyond(alpha: float) -> float:
        found = difference_interval(
            first, second, needles, level=1 - 2 * alpha, n_possible=n_possible, exact=True
        )
        return max(found.high, -found.low) - margin

    return smallest_alpha(beyond)


def smallest_alpha(beyond: Callable[[float], float]) -> float:
    r"""The smallest $\alpha$ whose interval of level $1 - 2\alpha$ is inside the margin.

    Args:
        beyond: How far the interval of an $\alpha$ reaches beyond the margin; falls with it.
    """
    if beyond(_LARGEST) >= 0:
        return 1.0
    if beyond(_SMALLEST) < 0:
        return _SMALLEST
    return float(optimize.brentq(beyond, _SMALLEST, _LARGEST, xtol=1e-12))
