"""How alike the scores of the same heads are in two results."""

import math

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from rh_lens.checks import require_array, require_number, require_whole_number

DEFAULT_P = 0.9
"""Persistence of rank-biased overlap: the first ten ranks carry 86 % of its weight."""

# Ranks whose weight p^d has fallen below this add nothing to a rank-biased overlap.
_NEGLIGIBLE = 1e-9


def similarities(
    a: Float[np.ndarray, " head"],
    b: Float[np.ndarray, " head_b"],
    *,
    k: int,
    p: float = DEFAULT_P,
    orders: Int[np.ndarray, "order head"] | None = None,
) -> dict[str, Float[np.ndarray, " order"]]:
    r"""Pearson, Spearman, top-k Jaccard and rank-biased overlap of two score vectors.

    - `pearson`, `spearman`: correlation of the scores and of their ranks, ties at their mean rank;
      NaN where all scores of one are equal.
    - `jaccard`: common heads of the two top-k sets over all heads in either. A head that scores 0
      is in no top set; heads that tie for the last places share them. NaN where no head scores.
    - `rbo`: rank-biased overlap (Webber, Moffat and Zobel 2010, TOIS 28(4), equation 23,
      extrapolated from where the weights fall below 1e-9): $(1-p) \sum_d p^{d-1} A_d$ with $A_d$
      the share of heads in common among the first d. Tied heads share their places, and $A_d$ is
      normalised so that equal rankings have 1 (RBO-b of Corsi and Urbano 2024, arXiv:2406.07121);
      without ties it is the original.

    Args:
        a: Scores without NaN.
        b: Scores of the same heads, without NaN.
        k: Size of the top sets.
        p: Persistence of rank-biased overlap, between 0 and 1; higher looks deeper.
        orders: Orders in which to read the heads of `b`, for permutation nulls; None: as it is.

    Returns:
        For each statistic, a value for each order.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The lengths differ, there is no head, a score is NaN, k is below 1, or p is not
            between 0 and 1.

    Examples:
        >>> a, b = np.array([0.9, 0.8, 0.1, 0.0]), np.array([0.8, 0.9, 0.0, 0.1])
        >>> {name: value.round(2).item() for name, value in similarities(a, b, k=2).items()}
        {'pearson': 0.97, 'spearman': 0.6, 'jaccard': 1.0, 'rbo': 0.87}
    """
    _check(a, b, k, p)
    if orders is None:
        orders = np.arange(len(b))[None]
    require_array("orders", orders, ("order", "head"), least=0, most=len(b) - 1, width=len(b))
    return {
        "pearson": _correlation(a, b, orders),
        "spearman": _correlation(rankdata(a), rankdata(b), orders),
        "jaccard": _jaccard(_top(a, k), _top(b, k), orders),
        "rbo": _rank_biased_overlap(a, b, p, orders),
    }


STATISTICS = ("pearson", "spearman", "jaccard", "rbo")
"""Keys of `similarities`."""


def memberships(
    scores: Float[np.ndarray, " head"], n_places: int
) -> Float[np.ndarray, "n_places head"]:
    """How far each head is among the first 1, 2, ... `n_places` heads; ties share their places.

    A head after `m` better ones that ties with `t` heads (itself included) belongs to the first d
    to the extent (d - m) / t, within 0 and 1: the chance of being there when ties are broken at
    random.
    """
    n_better = len(scores) - rankdata(scores, method="max")
    n_tied = rankdata(scores, method="max") - rankdata(scores, method="min") + 1
    places = np.arange(1, n_places + 1)[:, None]
    return np.clip((places - n_better) / n_tied, 0.0, 1.0)


def _correlation(
    a: Float[np.ndarray, " head"],
    b: Float[np.ndarray, " head"],
    orders: Int[np.ndarray, "order head"],
) -> Float[np.ndarray, " order"]:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.full(len(orders), np.nan)
    a, b = a - a.mean(), b - b.mean()
    unit_a, unit_b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    return np.clip(unit_b[orders] @ unit_a, -1.0, 1.0)


def _top(scores: Float[np.ndarray, " head"], k: int) -> Float[np.ndarray, " head"]:
    """How far each head belongs to the k best that score above 0."""
    return np.where(scores > 0, memberships(scores, min(k, len(scores)))[-1], 0.0)


def _jaccard(
    a: Float[np.ndarray, " head"],
    b: Float[np.ndarray, " head"],
    orders: Int[np.ndarray, "order head"],
) -> Float[np.ndarray, " order"]:
    either = np.maximum(a, b[orders]).sum(axis=1)
    if a.sum() == 0 and b.sum() == 0:
        return np.full(len(orders), np.nan)
    return np.minimum(a, b[orders]).sum(axis=1) / either


def _rank_biased_overlap(
    a: Float[np.ndarray, " head"],
    b: Float[np.ndarray, " head"],
    p: float,
    orders: Int[np.ndarray, "order head"],
) -> Float[np.ndarray, " order"]:
    n_places = min(len(a), math.ceil(math.log(_NEGLIGIBLE) / math.log(p)))
    in_a, in_b = memberships(a, n_places), memberships(b, n_places)
    scale = np.sqrt((in_a**2).sum(axis=1) * (in_b**2).sum(axis=1))
    weight = (1 - p) * p ** np.arange(n_places)
    # Behind the last rank the agreement is taken to stay what it is there.
    weight[-1] += p**n_places
    # Only heads that are among the first of `a` add anything; rows of heads are quick to gather.
    first = in_a.any(axis=0)
    weighted, of_b = (in_a * (weight / scale)[:, None]).T[first], np.ascontiguousarray(in_b.T)
    return np.array([np.vdot(weighted, of_b[order[first]]) for order in orders])


def _check(a: Float[np.ndarray, "..."], b: Float[np.ndarray, "..."], k: int, p: float) -> None:
    require_array("a", a, ("head",))
    require_array("b", b, ("head",))
    if a.shape != b.shape or np.isnan(a).any() or np.isnan(b).any():
        raise ValueError(
            f"Expected scores of the same heads, without NaN; found {a.shape} and {b.shape} heads "
            f"and {int(np.isnan(a).sum())} and {int(np.isnan(b).sum())} NaN. Keep the heads that "
            "have a score in both."
        )
    require_whole_number("k", k, at_least=1)
    require_number("p", p, above=0, below=1)
