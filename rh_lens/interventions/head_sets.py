"""Sets of heads, counted and numbered, so that any of them can be drawn."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, prod

from rh_lens.heads import Head


@dataclass(frozen=True)
class Stratum:
    """Heads to draw from: as many as `sizes` say, each number from a different pool.

    Args:
        where: Name of the place, for messages.
        pools: Heads that may be drawn; no head twice.
        sizes: Numbers of heads, at least 1 each, in any order.
    """

    where: str
    pools: tuple[tuple[Head, ...], ...]
    sizes: tuple[int, ...]

    @property
    def n_sets(self) -> int:
        """Distinct sets that can be drawn."""
        return _n_sets(tuple(map(len, self.pools)), self.sizes)

    def set_at(self, place: int) -> list[Head]:
        """The set with this number, from 0 to `n_sets` - 1."""
        chosen: list[Head] = []
        sizes = self.sizes
        lengths = tuple(map(len, self.pools))
        for index, pool in enumerate(self.pools):
            for size in _choices(sizes):
                rest = _n_sets(lengths[index + 1 :], _without(sizes, size))
                n_here = comb(len(pool), size) * rest
                if place < n_here:
                    inside, place = divmod(place, rest)
                    chosen += _combination_at(pool, size, inside)
                    sizes = _without(sizes, size)
                    break
                place -= n_here
        return chosen


def count_sets(strata: Sequence[Stratum]) -> int:
    """Distinct sets that the strata give together."""
    return prod(stratum.n_sets for stratum in strata)


def draw_sets(strata: Sequence[Stratum], n_draws: int, seed: int) -> list[tuple[Head, ...]]:
    """Distinct sets, every choice of them equally likely; all when fewer than `n_draws` exist."""
    n_possible = count_sets(strata)
    places = _distinct(random.Random(seed), n_possible, min(n_draws, n_possible))
    return [_set_at(strata, place) for place in places]


def _set_at(strata: Sequence[Stratum], place: int) -> tuple[Head, ...]:
    """The set with this number over all strata together."""
    chosen: list[Head] = []
    for stratum in strata:
        place, inside = divmod(place, stratum.n_sets)
        chosen += stratum.set_at(inside)
    return tuple(sorted(chosen))


def _distinct(rng: random.Random, n: int, n_draws: int) -> list[int]:
    """Distinct numbers below n, all subsets equally likely (Floyd), in random order.

    `random.sample` does the same for n below 2^63; there are more ways to take 50 of 1,024 heads.
    """
    drawn: dict[int, None] = {}
    for last in range(n - n_draws, n):
        number = rng.randrange(last + 1)
        drawn[last if number in drawn else number] = None
    numbers = list(drawn)
    rng.shuffle(numbers)
    return numbers


@lru_cache(maxsize=100_000)
def _n_sets(lengths: tuple[int, ...], sizes: tuple[int, ...]) -> int:
    """Ways to take `sizes` heads, each size from a different pool of these lengths."""
    if len(sizes) > len(lengths):
        return 0
    if not lengths:
        return 1
    first, *rest = lengths
    return sum(
        comb(first, size) * _n_sets(tuple(rest), _without(sizes, size)) for size in _choices(sizes)
    )


def _choices(sizes: tuple[int, ...]) -> list[int]:
    """How many heads the next pool may give: none, or one of the sizes."""
    return [0, *sorted(set(sizes))]


def _without(sizes: tuple[int, ...], size: int) -> tuple[int, ...]:
    if size == 0:
        return sizes
    place = sizes.index(size)
    return sizes[:place] + sizes[place + 1 :]


def _combination_at(pool: Sequence[Head], size: int, place: int) -> list[Head]:
    """The subset with this number, in the order of `itertools.combinations`."""
    chosen: list[Head] = []
    for index, head in enumerate(pool):
        if len(chosen) == size:
            break
        n_with_head = comb(len(pool) - index - 1, size - len(chosen) - 1)
        if place < n_with_head:
            chosen.append(head)
        else:
            place -= n_with_head
    return chosen
