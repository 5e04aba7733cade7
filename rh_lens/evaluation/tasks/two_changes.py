"""Intervals of the difference of two changes that were measured on the same items."""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from rh_lens.evaluation.equivalence import smallest_alpha
from rh_lens.evaluation.intervals import Estimate, difference_interval
from rh_lens.evaluation.moments import needle_means

# Two numbers in [0, 1] for each item: with heads silenced (or a row for each draw), and without.
Change: TypeAlias = tuple[Float[np.ndarray, "*draw item"], Float[np.ndarray, " item"]]


def difference_of_changes(
    first: Change,
    second: Change,
    documents: Sequence[str],
    *,
    level: float = 0.95,
    exact: bool = False,
) -> Estimate:
    r"""Mean of $(a - b) - (c - d)$ over the same items, and its interval over documents.

    Each of the two changes has its `difference_interval`; both are joined by square and add with
    the correlation of the changes over documents (MOVER: Zou and Donner 2008).

    Args:
        first: $a$ and $b$ of each item; $a$ may be rows, one a draw.
        second: $c$ and $d$ of the same items, in the same order.
        documents: What each item belongs to.
        level: Share of samples whose interval holds the truth.
        exact: Whether each end by itself is to keep its level.

    Raises:
        ValueError: As `difference_interval`.
    """
    one, two = (
        _negative(difference_interval(before, after, documents, level=level, exact=exact))
        for after, before in (first, second)
    )
    changes = [
        needle_means(np.atleast_2d(after).mean(0, keepdims=True) - before, documents)[0]
        for after, before in (first, second)
    ]
    spread = changes[0].std() * changes[1].std()
    products = (changes[0] - changes[0].mean()) * (changes[1] - changes[1].mean())
    correlation = float(np.clip(products.mean() / spread, -1, 1)) if spread > 0 else 0.0
    mean = one.mean - two.mean

    def half(left: float, right: float) -> float:
        return math.sqrt(max(0.0, left**2 + right**2 - 2 * correlation * left * right))

    low = mean - half(one.mean - one.low, two.high - two.mean)
    high = mean + half(one.high - one.mean, two.mean - two.low)
    return Estimate(mean, max(low, -2.0), min(high, 2.0), one.n_needles)


def changes_equivalence_pvalue(
    first: Change, second: Change, documents: Sequence[str], *, margin: float
) -> float:
    r"""Two one-sided tests: do two changes differ by less than the margin?

    As `equivalence_pvalue`, with the intervals of `difference_of_changes`.

    Args:
        first: As in `difference_of_changes`, and so is the next.
        second: The same items' other two numbers.
        documents: What each item belongs to.
        margin: Largest difference that does not matter.
    """

    def beyond(alpha: float) -> float:
        found = difference_of_changes(first, second, documents, level=1 - 2 * alpha, exact=True)
        return max(found.high, -found.low) - margin

    return smallest_alpha(beyond)


def _negative(found: Estimate) -> Estimate:
    return Estimate(-found.mean, -found.high, -found.low, found.n_needles)
