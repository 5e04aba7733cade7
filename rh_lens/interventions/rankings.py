"""Rankings that could have been: heads of a ranking exchanged with others of their family."""

import random
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import factorial, prod
from numbers import Integral
from typing import Literal, TypeAlias

from rh_lens.checks import (
    MAX_REPEATS,
    require_choice,
    require_list,
    require_seed,
    require_whole_number,
    shown,
)
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions.controls import require_model_size
from rh_lens.representation import short_repr

Family: TypeAlias = Literal["layer", "kv-group"] | None
"""Where heads may change places: in their layer, in their KV group, or (None) anywhere."""


@dataclass(frozen=True)
class RankingDraws:
    """Rankings drawn from the family of one, distinct from it and from each other.

    Args:
        draws: Rankings, each as long as the largest K; fewer than asked for when no more exist.
        n_possible: Distinct ones that exist besides the ranking itself.
        family: Inside what heads were exchanged.
    """

    draws: tuple[tuple[Head, ...], ...]
    n_possible: int
    family: Family

    __repr__ = short_repr

    @property
    def smallest_pvalue(self) -> float:
        """What a permutation test with these draws can reach."""
        return 1 / (len(self.draws) + 1)


def draw_rankings(
    ranking: HeadsLike,
    ks: Sequence[int],
    *,
    n_layers: int,
    n_heads: int,
    n_draws: int,
    seed: int = 0,
    family: Family = "layer",
    n_kv_heads: int | None = None,
    absent: HeadsLike = (),
) -> RankingDraws:
    """Rankings as likely as the given one, if which head is which did not matter.

    Each draw exchanges the heads inside their layers (or KV groups, or the model) at random, and so
    gives sets of the first K heads for every K, one inside the next. The family holds the given
    ranking, and its draws may share heads with it: under the null hypothesis that a head's place in
    its family says nothing about its harm, all of them are exchangeable, and the rank of the given
    one among them is a p-value (`permutation_pvalue`, `step_down_pvalues`). Sets that must be
    disjoint from the top heads have no such right.

    Two rankings are one if their first K heads are the same sets for every K.

    Args:
        ranking: Heads, best first.
        ks: Numbers of heads that matter.
        n_layers: Layers of the model.
        n_heads: Query heads in a layer.
        n_draws: Rankings to draw; the first ones stay the same when more are asked for.
        seed: Seed of the draws.
        family: "layer": heads are exchanged inside their layer. "kv-group": KV groups inside their
            layer, and heads inside their group. None: inside the model.
        n_kv_heads: Key-value heads in a layer; needed for "kv-group".
        absent: Heads of layers without attention.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A K is not between 1 and the ranking's length, there are no Ks, a head is absent
            or not the model's, or `n_kv_heads` is missing.

    Examples:
        >>> drawn = draw_rankings(scores.ranking(), [2, 4], n_layers=4, n_heads=8, n_draws=5)
        >>> [[head.label for head in one[:4]] for one in drawn.draws[:2]]
        [['L2H0', 'L2H2', 'L2H3', 'L2H4'], ['L2H3', 'L2H0', 'L2H2', 'L2H7']]
    """
    heads, gone = as_heads(ranking), set(as_heads(absent))
    require_choice("family", family, ("layer", "kv-group", None))
    require_whole_number("n_draws", n_draws, at_least=0, at_most=MAX_REPEATS)
    require_seed("seed", seed)
    require_model_size(n_layers, n_heads, n_kv_heads)
    ks = sorted(set(require_list("ks", ks, Integral)))
    _check(heads, ks, n_layers, n_heads, gone)
    present = [
        head
        for layer in range(n_layers)
        for head in (Head(layer, index) for index in range(n_heads))
        if head not in gone
    ]
    blocks = _blocks(present, family, n_heads, n_kv_heads)
    first_k = {head: min(k for k in ks if k > place) for place, head in enumerate(heads[: ks[-1]])}
    n_possible = _n_arrangements(blocks, first_k) - 1
    rng, top = random.Random(seed), heads[: ks[-1]]
    found: dict[Hashable, tuple[Head, ...]] = {}
    own = _nested(top, ks)
    while len(found) < min(n_draws, n_possible):
        exchanged = _exchange(blocks, rng)
        drawn = tuple(exchanged[head] for head in top)
        if (nested := _nested(drawn, ks)) != own:
            found.setdefault(nested, drawn)
    return RankingDraws(tuple(found.values()), n_possible, family)


def _blocks(
    present: Sequence[Head], family: Family, n_heads: int, n_kv_heads: int | None
) -> list[list[list[Head]]]:
    """Heads by what they are exchanged in: units of a block with each other, heads of a unit."""
    if family is None:
        return [[list(present)]]
    layers: dict[int, dict[int, list[Head]]] = {}
    for head in present:
        group = 0
        if family == "kv-group":
            if n_kv_heads is None:
                raise ValueError(
                    'Expected n_kv_heads for family="kv-group"; found None. Give the number of '
                    "key-value heads in a layer, from the model's configuration."
                )
            group = head.kv_group(n_heads, n_kv_heads)
        layers.setdefault(head.layer, {}).setdefault(group, []).append(head)
    return [list(groups.values()) for groups in layers.values()]


def _exchange(blocks: list[list[list[Head]]], rng: random.Random) -> dict[Head, Head]:
    """Which head takes each one's place, all exchanges of the family being equally likely."""
    exchanged: dict[Head, Head] = {}
    for units in blocks:
        for unit, other in zip(units, rng.sample(units, len(units)), strict=True):
            exchanged.update(zip(unit, rng.sample(other, len(other)), strict=True))
    return exchanged


def _nested(ranking: Sequence[Head], ks: Sequence[int]) -> tuple[frozenset[Head], ...]:
    return tuple(frozenset(ranking[:k]) for k in ks)


def _n_arrangements(blocks: list[list[list[Head]]], first_k: dict[Head, int]) -> int:
    """Distinct nested sets that exchanging gives: arrangements of the Ks at which heads enter."""
    total = 1
    for units in blocks:
        entries = [Counter(first_k.get(head) for head in unit) for unit in units]
        alike = Counter(frozenset(entry.items()) for entry in entries)
        total *= _n_orders(alike.values())
        total *= prod(_n_orders(entry.values()) for entry in entries)
    return total


def _n_orders(counts: Iterable[int]) -> int:
    """Orders of things of which so many each are alike."""
    counts = list(counts)
    return factorial(sum(counts)) // prod(factorial(n) for n in counts)


def _check(
    heads: Sequence[Head], ks: Sequence[int], n_layers: int, n_heads: int, gone: set[Head]
) -> None:
    if not ks or ks[0] < 1 or ks[-1] > len(heads):
        raise ValueError(
            f"Expected ks to be numbers of heads from 1 to {len(heads)}, the heads of the ranking; "
            f"found {shown(list(ks))}. Leave the others out."
        )
    wrong = [
        head.label
        for head in heads[: ks[-1]]
        if head.layer >= n_layers or head.head >= n_heads or head in gone
    ]
    if wrong:
        raise ValueError(
            f"Expected heads of a model with {n_layers} layers of {n_heads} heads that have "
            f"attention; found {', '.join(wrong[:5])}. Check that the heads belong to this model."
        )
