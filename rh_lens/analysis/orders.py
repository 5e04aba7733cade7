"""Arrangements of heads that chance could have made: in whole key-value groups, and in layers."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

Block: TypeAlias = Int[np.ndarray, "_ _"]
"""Groups of heads that may change places: `[group head]`, places among the heads compared."""


def exchangeable_blocks(
    shared: Bool[np.ndarray, "layer head"], size: int, *, inside: bool
) -> tuple[Block, ...]:
    """Groups of the heads that are compared, those together that may change places.

    Args:
        shared: Heads that are compared; the others are left out.
        size: Heads that share a key-value head, 1 for heads one by one. Groups of which a part is
            left out change places with groups that are as large.
        inside: Whether groups stay inside their layers.
    """
    layer, head = np.nonzero(shared)
    groups: dict[tuple[int, int], list[int]] = {}
    for place, (i, j) in enumerate(zip(layer.tolist(), head.tolist(), strict=True)):
        groups.setdefault((i, j // size), []).append(place)
    alike: dict[tuple[int, int], list[list[int]]] = {}
    for (i, _), places in groups.items():
        alike.setdefault((i if inside else 0, len(places)), []).append(places)
    return tuple(np.array(places, dtype=np.int64) for places in alike.values())


def random_orders(
    blocks: Sequence[Block], n_orders: int, rng: np.random.Generator
) -> Int[np.ndarray, "order head"]:
    """Random orders of heads: groups change places, and heads inside their groups.

    Args:
        blocks: From `exchangeable_blocks`.
        n_orders: Number of orders.
        rng: Source of the draws.
    """
    orders = np.empty((n_orders, sum(block.size for block in blocks)), dtype=np.int64)
    for block in blocks:
        n_groups, size = block.shape
        groups = rng.random((n_orders, n_groups)).argsort(axis=1)
        drawn = block[groups]
        if size > 1:
            inner = rng.random(drawn.shape).argsort(axis=2)
            drawn = np.take_along_axis(drawn, inner, axis=2)
        orders[:, block] = drawn
    return orders


def count_arrangements(blocks: Sequence[Block], scores: Float[np.ndarray, " head"]) -> float:
    """Different arrangements of the scores that the orders can make; equal scores are one.

    Infinite beyond the largest float.
    """
    total = 1
    for block in blocks:
        groups = [tuple(sorted(group)) for group in scores[block].tolist()]
        total *= _multinomial(groups)
        for group in groups:
            total *= _multinomial(group)
    try:
        return float(total)
    except OverflowError:
        return math.inf


def _multinomial(values: Sequence[object]) -> int:
    """Different orders of values, some of which may be equal."""
    ties = math.prod(math.factorial(n) for n in Counter(values).values())
    return math.factorial(len(values)) // ties
