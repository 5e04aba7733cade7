"""Means of scores that are rounded once, at the end: what ties, and what reaches a threshold."""

import math
from fractions import Fraction

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_tensor

# Scores that count copies are fractions with the answer's length below the line. Two of these are
# at least a millionth apart, so that a number this close to one is that one, summed up in pieces.
_LARGEST_DENOMINATOR = 1024
_ROUNDING = 1e-14


def exact_mean(values: Float[Tensor, " trial *heads"]) -> Float[Tensor, " *heads"]:
    """Mean over the trials that are not NaN, without any rounding before the last one.

    So n scores of 0.1 have the mean 0.1 for every n, and heads whose sums are equal tie, in
    whatever order the trials come. Where all values are fractions with denominators up to 1,024, as
    copies over the length of an answer are, the fractions are averaged, as integers over a common
    denominator: of 0.3, 0 and 0 the mean is 0.1. Otherwise (attention mass) the numbers are.

    Args:
        values: Scores; finite, or NaN for a trial that does not count.

    Returns:
        Means in fp64, on the CPU; NaN where no trial counts.

    Raises:
        TypeError: The values are no tensor.
        ValueError: They are no numbers, or have no axis.

    Examples:
        >>> exact_mean(torch.tensor([0.3, 0.0, float("nan"), 0.0]))
        tensor(0.1000, dtype=torch.float64)
    """
    _require_values(values)
    table = values.detach().cpu().double().numpy()
    columns = table.reshape(len(table), math.prod(table.shape[1:]))
    counts = (~np.isnan(columns)).sum(axis=0).tolist()
    distinct, place = np.unique(np.nan_to_num(columns), return_inverse=True)
    fractions = _as_fractions(distinct)
    if fractions is None:
        means = [_mean(column[~np.isnan(column)].tolist()) for column in columns.T]
    else:
        above, below = _over_one_denominator(fractions)
        dtype = np.int64 if _largest_sum(above, len(table)) < 2**63 else object
        sums = np.array(above, dtype)[place.reshape(columns.shape)].sum(axis=0).tolist()
        pairs = zip(sums, counts, strict=True)
        # Python rounds the quotient of two integers correctly, however large they are.
        means = [total / (below * n) if n else math.nan for total, n in pairs]
    return torch.tensor(means, dtype=torch.float64).reshape(values.shape[1:])


def whole_multiples(values: Float[Tensor, " trial *heads"]) -> Float[Tensor, " trial *heads"]:
    """The scores times their common denominator: whole numbers, whose sums in fp64 are exact.

    For statistics over many choices of trials that do not depend on the unit of the scores: heads
    tie in them where their scores do. Scores without such a denominator, or with one so large that
    sums would be rounded, are left as they are.

    Args:
        values: As in `exact_mean`.

    Raises:
        TypeError: As in `exact_mean`, and so is the next.
        ValueError: They are no numbers, or have no axis.

    Examples:
        >>> whole_multiples(torch.tensor([[0.5], [0.25]], dtype=torch.float64)).flatten()
        tensor([2., 1.], dtype=torch.float64)
    """
    _require_values(values)
    table = values.detach().cpu().double().numpy()
    distinct, place = np.unique(np.nan_to_num(table), return_inverse=True)
    fractions = _as_fractions(distinct)
    if fractions is None:
        return values
    above, _ = _over_one_denominator(fractions)
    if _largest_sum(above, len(table)) >= 2**53:
        return values
    whole = np.array(above, dtype=np.float64)[place.reshape(table.shape)]
    return torch.from_numpy(np.where(np.isnan(table), np.nan, whole))


def _as_fractions(values: Float[np.ndarray, " value"]) -> list[Fraction] | None:
    """The fractions with small denominators that the numbers stand for; None: some are no such."""
    fractions = []
    for value in values.tolist():
        fraction = Fraction(value).limit_denominator(_LARGEST_DENOMINATOR)
        if abs(float(fraction) - value) > _ROUNDING * abs(value):
            return None
        fractions.append(fraction)
    return fractions


def _over_one_denominator(fractions: list[Fraction]) -> tuple[list[int], int]:
    """What stands above the line of each, and the denominator that they have in common."""
    below = math.lcm(*(fraction.denominator for fraction in fractions))
    return [fraction.numerator * (below // fraction.denominator) for fraction in fractions], below


def _largest_sum(above: list[int], n_trials: int) -> int:
    """No sum over the trials exceeds this."""
    return max(map(abs, above), default=0) * max(n_trials, 1)


def _mean(values: list[float]) -> float:
    """Mean of numbers as they are; NaN of none."""
    if not values:
        return math.nan
    try:
        rounded = math.fsum(values) / len(values)
        rest = math.fsum([*values, *[-rounded] * len(values)])
    except OverflowError:  # sums of the largest numbers there are; their mean is none too large
        return float(sum(map(Fraction, values)) / len(values))
    return rounded + rest / len(values)


def _require_values(values: object) -> None:
    require_tensor("values", values, ("trial", "*heads"), empty=True)
