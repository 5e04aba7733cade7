"""Drawing the sets of heads that an ablation curve silences."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from numbers import Integral
from typing import Any, TypeAlias, get_args

from rh_lens.checks import (
    MAX_REPEATS,
    require_choice,
    require_list,
    require_seed,
    require_type,
    require_whole_number,
    shown,
)
from rh_lens.evaluation.ablation_plan import AblationPlan, HeadSet, Kind
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions import (
    ControlDraws,
    Family,
    HeadTraits,
    Match,
    NoControlsError,
    RankingDraws,
    control_heads,
    draw_rankings,
)
from rh_lens.interventions.editing import head_counts, require_heads
from rh_lens.runtime import Bridge, architecture_of

DEFAULT_KS = (0, 1, 2, 5, 10, 20, 50)


def default_ks(n_heads: int, n_retrieval: int) -> list[int]:
    """Numbers of heads to silence: those of `DEFAULT_KS`, and where a curve is to be looked at.

    Answers begin to fail before the last retrieval head is gone, and first in other ways: three
    quarters and all of the retrieval heads are among them.

    Args:
        n_heads: Heads of the ranking.
        n_retrieval: Retrieval heads.

    Raises:
        TypeError: A number is no whole one.
        ValueError: A number is negative, or there are more retrieval heads than heads.

    Examples:
        >>> default_ks(n_heads=32, n_retrieval=4)
        [0, 1, 2, 3, 4, 5, 10, 20]
    """
    require_whole_number("n_heads", n_heads, at_least=1, at_most=10**7)
    require_whole_number("n_retrieval", n_retrieval, at_least=0, at_most=n_heads)
    return sorted({3 * n_retrieval // 4, n_retrieval, *(k for k in DEFAULT_KS if k <= n_heads)})


def plan_ablation(
    model: Bridge,
    ranking: HeadsLike,
    *,
    ks: Sequence[int] | None = None,
    n_controls: int = 10,
    match: Match | Sequence[Match] = "layer",
    traits: HeadTraits | None = None,
    n_rankings: int = 19,
    family: Family = "layer",
    exclude: HeadsLike = (),
    seed: int = 0,
) -> AblationPlan:
    """The top K of a ranking, matched random heads, and rankings that could have been.

    A K for which no control exists gets none, and a note. Equal sets are silenced once.

    Args:
        model: A TransformerBridge; it is asked for its layers and heads only.
        ranking: Heads, best first, such as `result.scores.ranking()`.
        ks: Numbers of heads; 0, the untouched model, is always among them. None: those of
            0, 1, 2, 5, 10, 20 and 50 that the ranking has.
        n_controls: Control draws for each K and match; 0 gives none.
        match: What controls share with the top K: see `control_heads`. Several are drawn side by
            side.
        traits: From `head_traits`; needed to match by "norm" or "entropy", and for the balance.
        n_rankings: Rankings to draw for the test of the heads, which reaches
            1 / (n_rankings + 1) whatever the number of Ks: 19 for 0.05. 0 gives no test.
        family: Inside what heads are exchanged: see `draw_rankings`.
        exclude: Heads that are no controls of any K, such as all retrieval heads. Without it, the
            controls of a small K may hold heads that come next in the ranking.
        seed: Seed of the draws.

    Raises:
        TypeError: An argument is of another type, such as a model that is no TransformerBridge.
        ValueError: The ranking names a head twice or one that the model lacks, or has fewer heads
            than a K, a K or a number of draws is negative, or traits are missing.

    Examples:
        >>> plan = plan_ablation(model, scores.ranking(), ks=[0, 2, 4], n_controls=2, n_rankings=4)
        >>> plan.ks, plan.smallest_pvalue
        ((0, 2, 4), 0.2)
    """
    ks = require_draws(model, ranking, ks, n_controls, match, n_rankings, family, exclude, seed)
    if traits is not None:
        require_type("traits", traits, HeadTraits, remedy="Take them from head_traits.")
    ranking = as_heads(ranking)
    needs, n_layers = architecture_of(model), int(model.cfg.n_layers)
    layers, n_heads = needs.layers, needs.n_heads
    size = {
        "n_layers": n_layers,
        "n_heads": n_heads,
        "n_kv_heads": needs.n_kv_heads,
        "seed": seed,
    }
    absent = [
        Head(at, head) for at in set(range(n_layers)) - set(layers) for head in range(n_heads)
    ]
    controls, notes = _draw_controls(
        ranking,
        product(ks, _matches(match) if n_controls else ()),
        n_draws=n_controls,
        traits=traits,
        exclude=[*as_heads(exclude), *absent],
        **size,
    )
    exchange: dict[str, Any] = {"family": family, "absent": absent, **size}
    rankings = draw_rankings(ranking, ks, n_draws=n_rankings, **exchange) if ks else None
    return AblationPlan(
        sets=_named([*_compared(ks, ranking, controls), *_drawn(ks, rankings)]),
        n_possible={key: drawn.n_possible for key, drawn in controls.items()}
        | dict.fromkeys(notes, 0),
        notes=notes | {key: drawn.note for key, drawn in controls.items() if drawn.note},
        family=family,
        n_rankings=len(rankings.draws) if rankings else 0,
        n_planned=len(rankings.draws) if rankings else 0,
        n_other_rankings=rankings.n_possible if rankings else 0,
        n_family={k: draw_rankings(ranking, [k], n_draws=0, **exchange).n_possible + 1 for k in ks},
        balance=_balance(ranking, controls, traits) if traits else {},
    )


def _draw_controls(
    ranking: Sequence[Head], wanted: Iterable[tuple[int, Match]], **how: Any
) -> tuple[dict[tuple[int, str], ControlDraws], dict[tuple[int, str], str]]:
    """Controls of the top K for each K and match; a note where there are none."""
    controls, notes = {}, {}
    for k, match in wanted:
        try:
            controls[k, _name(match)] = control_heads(ranking[:k], match=match, **how)
        except NoControlsError as error:
            notes[k, _name(match)] = f"no controls. {error}"
    return controls, notes


# A set before it has its condition's name: k, kind, match, draw, heads.
_Unnamed: TypeAlias = tuple[int, Kind, str | None, int | None, tuple[Head, ...]]


def _compared(
    ks: Sequence[int],
    ranking: tuple[Head, ...],
    controls: Mapping[tuple[int, str], ControlDraws],
) -> Iterator[_Unnamed]:
    """The untouched model, and each top K with its controls."""
    yield 0, "none", None, None, ()
    for k in ks:
        yield k, "top", None, None, ranking[:k]
        for (of, match), drawn in controls.items():
            if of == k:
                yield from ((k, "control", match, i, heads) for i, heads in enumerate(drawn.draws))


def _drawn(ks: Sequence[int], rankings: RankingDraws | None) -> Iterator[_Unnamed]:
    for draw, ranking in enumerate(rankings.draws if rankings else ()):
        yield from ((k, "drawn", None, draw, ranking[:k]) for k in ks)


def _named(sets: Sequence[_Unnamed]) -> tuple[HeadSet, ...]:
    """The sets with the names of their conditions, equal ones with the same."""
    names: dict[frozenset[Head], str] = {}
    named = []
    for k, kind, match, draw, heads in sets:
        parts = [kind, None if kind == "none" else k, match, draw]
        name = "-".join(str(part) for part in parts if part is not None)
        named.append(HeadSet(names.setdefault(frozenset(heads), name), k, kind, match, draw, heads))
    return tuple(named)


def _balance(
    ranking: tuple[Head, ...],
    controls: Mapping[tuple[int, str], ControlDraws],
    traits: HeadTraits,
) -> dict[tuple[int, str], dict[str, float]]:
    """Mean traits of the top K and, over all draws, of its controls."""
    found = {}
    for (k, match), drawn in controls.items():
        beside = traits.mean([head for draw in drawn.draws for head in draw])
        found[k, match] = traits.mean(ranking[:k]) | {
            f"control_{name}": value for name, value in beside.items()
        }
    return found


def _matches(match: Match | Sequence[Match]) -> tuple[Match, ...]:
    return (match,) if match is None or isinstance(match, str) else tuple(dict.fromkeys(match))


def _name(match: Match) -> str:
    return match or "any"


def require_draws(
    model: Bridge,
    ranking: HeadsLike,
    ks: Sequence[int] | None,
    n_controls: int,
    match: Match | Sequence[Match],
    n_rankings: int,
    family: Family,
    exclude: HeadsLike,
    seed: int,
) -> list[int]:
    """The Ks above 0, ascending, each once; refuses what no plan can be drawn from.

    Raises:
        TypeError: An argument is of another type.
        ValueError: As `plan_ablation`.
    """
    require_heads(as_heads(ranking), head_counts(model))
    as_heads(exclude)
    if not isinstance(match, str | None):
        match = require_list("match", match, (str, type(None)))
    for one in _matches(match):
        require_choice("match", one, (*get_args(get_args(Match)[0]), None))
    require_choice("family", family, (*get_args(get_args(Family)[0]), None))
    require_whole_number("n_controls", n_controls, at_least=0, at_most=MAX_REPEATS)
    require_whole_number("n_rankings", n_rankings, at_least=0, at_most=MAX_REPEATS)
    require_seed("seed", seed)
    return _require_ks(ks, as_heads(ranking))


def _require_ks(ks: Sequence[int] | None, ranking: Sequence[Head]) -> list[int]:
    """The Ks above 0, ascending, each once."""
    n = len(ranking)
    if not n:
        raise ValueError(
            "Expected a ranking of one head or more; found none. Take result.scores.ranking()."
        )
    if n != len(set(ranking)):
        raise ValueError(
            f"Expected a ranking of distinct heads; found {n} entries and {len(set(ranking))} "
            "heads. Name each head once."
        )
    wanted = [k for k in DEFAULT_KS if k <= n] if ks is None else require_list("ks", ks, Integral)
    wrong = [k for k in wanted if not 0 <= k <= n]
    if wrong:
        raise ValueError(
            f"Expected ks to be numbers of heads from 0 to {n}, the heads of the ranking; found "
            f"{shown(wrong)}. Leave the others out."
        )
    return sorted(set(wanted) - {0})
