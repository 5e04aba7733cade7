"""Means of scores that are rounded once, at the end: what ties, and what reaches a threshold."""

import math
from fractions import Fraction

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

# Scores that count copies are fractions with the answer's length below the line. Two of these are
# at least a millionth apart, so that a number this close to one is that one, summed up in pieces.
_LARGEST_DENOMINATOR = 1024
_ROUNDING = 1e-14


def exact_mean(values: Float[Tensor, "trial *heads"]) -> Float[Tensor, "*heads"]:
    """Mean over the trials that are not NaN, without any rounding before the last one.

    So n scores of 0.1 have the mean 0.1 for every n, and heads whose sums are equal tie, in
    whatever order the trials come. Where all values are fractions with denominators up to 1,024, as
    copies over the length of an answer are, the fractions are averaged, as integers over a common
    denominator: of 0.3, 0 and 0 the mean is 0.1. Otherwise (attention mass) the numbers are.

    Args:
        values: Scores; finite, or NaN for a trial that does not count.

    Returns:
        Means in fp64, on the CPU; NaN where no trial counts.
    """
    table = values.detach().cpu().double().numpy()
    columns = table.reshape(len(table), math.prod(table.shape[1:]))
    counts = (~np.isnan(columns)).sum(axis=0).tolist()
    distinct, place = np.unique(np.nan_to_num(columns), return_inverse=True)
    fractions = _as_fractions(distinct)
    if fractions is None:
        means = [_mean(column[~np.isnan(column)].tolist()) for column in columns.T]
    else:
        below = math.lcm(*(fraction.denominator for fraction in fractions))
        above = [fraction.numerator * (below // fraction.denominator) for fraction in fractions]
        fits = max(map(abs, above), default=0) * max(len(table), 1) < 2**63
        integers = np.array(above, dtype=np.int64 if fits else object)
        sums = integers[place.reshape(columns.shape)].sum(axis=0).tolist()
        pairs = zip(sums, counts, strict=True)
        # Python rounds the quotient of two integers correctly, however large they are.
        means = [total / (below * n) if n else math.nan for total, n in pairs]
    return torch.tensor(means, dtype=torch.float64).reshape(values.shape[1:])


def _as_fractions(values: Float[np.ndarray, "value"]) -> list[Fraction] | None:
    """The fractions with small denominators that the numbers stand for; None: some are no such."""
    fractions = []
    for value in values.tolist():
        fraction = Fraction(value).limit_denominator(_LARGEST_DENOMINATOR)
        if abs(float(fraction) - value) > _ROUNDING * abs(value):
            return None
        fractions.append(fraction)
    return fractions


def _mean(values: list[float]) -> float:
    """Mean of numbers as they are; NaN of none."""
    if not values:
        return math.nan
    rounded = math.fsum(values) / len(values)
    rest = math.fsum([*values, *[-rounded] * len(values)])
    return rounded + rest / len(values)
