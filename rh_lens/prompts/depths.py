"""Which sentence boundaries the depths of a grid mean."""

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from rh_lens.checks import require_whole_number

MAX_DEPTHS = 10_000
"""More depths than haystacks have sentences between which a needle fits."""


def uniform_depths(n_depths: int) -> list[float]:
    """Depths spaced evenly from 0 to 1, both ends included; a single one is the middle.

    Raises:
        TypeError: It is no whole number.
        ValueError: The number is below 1 or above 10,000.

    Examples:
        >>> uniform_depths(5)
        [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    require_whole_number("n_depths", n_depths, at_least=1, at_most=MAX_DEPTHS)
    return [0.5] if n_depths == 1 else np.linspace(0.0, 1.0, n_depths).tolist()


def places_of_depths(
    depths: Sequence[float], boundaries: Sequence[int], *, room: int, start: int, move: bool
) -> list[tuple[float, int]]:
    """The boundary of each depth, no two the same; depths for which none is left are missing.

    A depth means the last boundary at or before it. Where several depths mean the same one, they
    are moved or left out.

    Args:
        depths: Depths from 0 to 1.
        boundaries: Positions of the boundaries, rising, the first at `start`.
        room: Tokens from depth 0 to depth 1.
        start: Position of depth 0.
        move: Whether depths go to other boundaries so that as many as possible have one of their
            own, at the least sum of squared distances. If not, the first that means a boundary
            keeps it.

    Returns:
        Depth and boundary, in the order of the depths.
    """
    wanted = [start + int(depth * room) for depth in depths]
    last = [boundaries[bisect_right(boundaries, place) - 1] for place in wanted]
    if len(set(last)) == len(last):
        return list(zip(depths, last, strict=True))
    if not move:
        return [
            (depth, place)
            for index, (depth, place) in enumerate(zip(depths, last, strict=True))
            if last.index(place) == index
        ]
    there = np.asarray(boundaries, dtype=float)
    cost = (np.asarray(wanted, dtype=float)[:, None] - there) ** 2
    rows, columns = linear_sum_assignment(cost)
    return [(depths[row], boundaries[column]) for row, column in zip(rows, columns, strict=True)]


def places_beside(boundary: int, boundaries: Sequence[int], n: int) -> list[int]:
    """`n` boundaries spread evenly over all of them, in order; none is the one given.

    They are the same for every place of a needle, but for one that gives way to it, so that
    prompts that differ in depth have as much as possible in common.
    """
    indices = [int((index + 0.5) * len(boundaries) / n) for index in range(n)]
    taken = boundaries.index(boundary)
    if taken in indices:
        free = set(range(len(boundaries))) - {*indices}
        indices.remove(taken)
        indices.append(min(free, key=lambda index: (abs(index - taken), index)))
    return [boundaries[index] for index in sorted(indices)]
