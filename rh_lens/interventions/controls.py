"""Random heads to compare with: seeded, disjoint from the heads in question, matched if asked."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rh_lens.checks import (
    MAX_REPEATS,
    require_choice,
    require_seed,
    require_type,
    require_whole_number,
)
from rh_lens.heads import MAX_INDEX, Head, HeadsLike, as_heads, every_head
from rh_lens.interventions.head_sets import Stratum, count_sets, draw_sets
from rh_lens.interventions.head_traits import TRAITS, HeadTraits
from rh_lens.interventions.neighbours import draw_neighbours
from rh_lens.representation import short_repr

Match: TypeAlias = Literal["layer", "kv-group", "norm", "entropy"] | None
"""What control heads share with the heads: layers, KV groups, norm, entropy, or nothing."""


class NoControlsError(ValueError):
    """The model has too few other heads to match the given ones."""


@dataclass(frozen=True)
class ControlDraws:
    """Distinct sets of control heads.

    Args:
        draws: The sets, heads in order; fewer than asked for when no more exist.
        n_possible: Distinct sets that exist; None where they are not counted, for neighbours.
        match: What the sets share with the given heads besides their number.
        note: Says so when all sets that exist were too few; otherwise empty.
    """

    draws: tuple[tuple[Head, ...], ...]
    n_possible: int | None
    match: Match
    note: str

    __repr__ = short_repr


def control_heads(
    heads: HeadsLike,
    *,
    n_layers: int,
    n_heads: int,
    n_draws: int = 10,
    seed: int = 0,
    match: Match = None,
    n_kv_heads: int | None = None,
    traits: HeadTraits | None = None,
    exclude: HeadsLike = (),
) -> ControlDraws:
    """Random sets of as many other heads, all sets that qualify being equally likely.

    The sets are distinct from each other, and disjoint from `heads` and `exclude`. Where fewer
    exist than are asked for, all of them come back and `note` says how many.

    Such sets describe what other heads do. They are no test of `heads`: see `draw_rankings`.

    Args:
        heads: The heads to compare with, such as the top K by score.
        n_layers: Layers of the model.
        n_heads: Query heads in a layer.
        n_draws: Sets to draw.
        seed: Seed of the draws.
        match: None: from all layers. "layer": as many heads from each layer as `heads` has there.
            "kv-group": in each layer also the same grouping under grouped-query attention, in
            groups that hold none of `heads`: where two of them share a key-value head, so do two
            of the control. "norm", "entropy": from all layers, each head near one of `heads` in
            this trait (`draw_neighbours`; not all sets are equally likely).
        n_kv_heads: Key-value heads in a layer; needed for "kv-group".
        traits: From `head_traits`; needed for "norm" and "entropy".
        exclude: Further heads that are no controls, such as all retrieval heads. Name here the
            heads of layers without attention.

    Raises:
        NoControlsError: No set qualifies; the message says which layer lacks what. A ValueError.
        TypeError: An argument is of another type.
        ValueError: A head is not in the model, there are no heads, `n_draws` is below 1,
            `n_kv_heads` is missing or does not divide `n_heads`, or `traits` are missing.

    Examples:
        >>> drawn = control_heads(heads, n_layers=4, n_heads=8, n_draws=3, seed=1)
        >>> [" ".join(head.label for head in one) for one in drawn.draws]
        ['L0H0 L1H1 L2H6 L3H2', 'L0H1 L1H0 L1H1 L3H7', 'L1H3 L3H4 L3H5 L3H6']
        >>> control_heads(heads, n_layers=4, n_heads=8, n_draws=3, match="layer").note
        'only 1 control set matched by layer of 3 asked for'
    """
    wanted, excluded = sorted(set(as_heads(heads))), set(as_heads(exclude))
    require_choice("match", match, ("layer", "kv-group", *TRAITS, None))
    require_whole_number("n_draws", n_draws, at_least=1, at_most=MAX_REPEATS)
    require_seed("seed", seed)
    _check(wanted, excluded, n_layers, n_heads, n_kv_heads)
    taken = excluded | set(wanted)
    free = [h for h in every_head(n_layers, n_heads) if h not in taken]
    if match == "layer":
        strata = _layer_strata(wanted, free)
    elif match == "kv-group":
        strata = _kv_group_strata(wanted, free, n_heads, n_kv_heads)
    else:
        strata = [Stratum("the model", (tuple(free),), (len(wanted),))]
    _require_enough(strata, match)
    if match in TRAITS:
        trait = getattr(_require_traits(traits, match), match)
        near = tuple(draw_neighbours(wanted, free, trait, n_draws, seed))
        return ControlDraws(near, None, match, _note(len(near), n_draws, match))
    draws = tuple(draw_sets(strata, n_draws, seed))
    n_possible = count_sets(strata)
    return ControlDraws(draws, n_possible, match, _note(n_possible, n_draws, match))


def _require_traits(traits: HeadTraits | None, match: str) -> HeadTraits:
    if traits is not None:
        require_type("traits", traits, HeadTraits, remedy="Measure them with head_traits.")
    else:
        raise ValueError(
            f'Expected traits for match="{match}"; found None. Measure them with head_traits('
            "model, prompts)."
        )
    return traits


def _layer_strata(heads: Sequence[Head], free: Sequence[Head]) -> list[Stratum]:
    counts = Counter(head.layer for head in heads)
    return [
        Stratum(f"layer {layer}", (tuple(h for h in free if h.layer == layer),), (n,))
        for layer, n in counts.items()
    ]


def _kv_group_strata(
    heads: Sequence[Head], free: Sequence[Head], n_heads: int, n_kv_heads: int | None
) -> list[Stratum]:
    """For each layer: groups without any of the heads, and how many heads each used one gives."""
    if n_kv_heads is None:
        raise ValueError(
            'Expected n_kv_heads for match="kv-group"; found None. Give the number of key-value '
            "heads in a layer, from the model's configuration."
        )
    counts = Counter((head.layer, head.kv_group(n_heads, n_kv_heads)) for head in heads)
    pools: dict[tuple[int, int], list[Head]] = {}
    for head in free:
        pools.setdefault((head.layer, head.kv_group(n_heads, n_kv_heads)), []).append(head)
    return [
        Stratum(
            f"layer {layer}",
            tuple(tuple(p) for key, p in pools.items() if key[0] == layer and key not in counts),
            tuple(sorted(n for key, n in counts.items() if key[0] == layer)),
        )
        for layer in sorted({layer for layer, _ in counts})
    ]


def _check(
    heads: Sequence[Head],
    exclude: Iterable[Head],
    n_layers: int,
    n_heads: int,
    n_kv_heads: int | None,
) -> None:
    """Refuse counts that are none, and heads that they do not hold."""
    require_model_size(n_layers, n_heads, n_kv_heads)
    if not heads:
        raise ValueError("Expected one head or more; found none. Name the heads to compare with.")
    unknown = [h.label for h in (*heads, *exclude) if h.layer >= n_layers or h.head >= n_heads]
    if unknown:
        raise ValueError(
            f"Expected heads of a model with {n_layers} layers of {n_heads} heads; found "
            f"{', '.join(unknown[:5])}. Check that the heads belong to this model."
        )


def require_model_size(n_layers: int, n_heads: int, n_kv_heads: int | None) -> None:
    """Refuse numbers of layers, heads and key-value heads that no model has.

    Raises:
        TypeError: One is no whole number.
        ValueError: One is out of range, or the key-value heads do not divide the heads.
    """
    remedy = "Take it from the model's configuration."
    counts = {"n_layers": n_layers, "n_heads": n_heads}
    counts |= {} if n_kv_heads is None else {"n_kv_heads": n_kv_heads}
    for name, count in counts.items():
        require_whole_number(name, count, at_least=1, at_most=MAX_INDEX + 1, remedy=remedy)
    if n_kv_heads and n_heads % n_kv_heads:
        raise ValueError(
            f"Expected n_kv_heads to divide {n_heads} heads; found {n_kv_heads}. {remedy}"
        )


def _require_enough(strata: Sequence[Stratum], match: Match) -> None:
    lacking = [stratum for stratum in strata if not stratum.n_sets]
    if not lacking:
        return
    what = "key-value groups with free heads" if match == "kv-group" else "free heads"
    found = "; ".join(
        f"{_sizes(s.sizes)} in {s.where}, found {_sizes(sorted(map(len, s.pools)))}"
        for s in lacking
    )
    looser = {"kv-group": 'match="layer", match=None, ', "layer": "match=None, "}.get(
        match or "", ""
    )
    raise NoControlsError(
        f"Expected {what}: {found}. Take {looser}fewer heads or a shorter exclude."
    )


def _sizes(sizes: Sequence[int]) -> str:
    return " and ".join(map(str, sizes)) or "none"


def _note(n_possible: int, n_draws: int, match: Match) -> str:
    if n_possible >= n_draws:
        return ""
    matched = f" matched by {match.replace('kv-group', 'KV group')}" if match else ""
    sets = "1 control set" if n_possible == 1 else f"{n_possible} control sets"
    return f"only {sets}{matched} of {n_draws} asked for"
