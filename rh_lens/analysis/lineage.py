"""Whether models share their retrieval heads: results compared in pairs, beside chance."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from rh_lens.analysis.comparison import LineageComparison, PairComparison, Similarity
from rh_lens.analysis.kv_groups import GroupBy, kv_group_means
from rh_lens.analysis.profiles import depth_profile_pearson, profile_distance
from rh_lens.analysis.similarity import DEFAULT_P, STATISTICS, similarities
from rh_lens.checks import (
    MAX_REPEATS,
    require_choice,
    require_number,
    require_seed,
    require_text,
    require_type,
    require_whole_number,
    shown,
)
from rh_lens.detection import RetrievalScores, require_scores

Means: TypeAlias = Float[np.ndarray, "layer head"]
OtherMeans: TypeAlias = Float[np.ndarray, "layer_b head_b"]
Orders: TypeAlias = Int[np.ndarray, "order head"]

# At least this many heads in a top set, however small the model.
_FEWEST_TOP_HEADS = 4
_TOP_SHARE = 0.05


def compare_scores(
    results: Mapping[str, RetrievalScores],
    *,
    k: int | None = None,
    p: float = DEFAULT_P,
    n_kv_heads: int | Mapping[str, int] | None = None,
    group_by: GroupBy = "max",
    n_permutations: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> LineageComparison:
    """Every pair of results: how alike their head scores are, and how alike chance makes them.

    Head scores are compared one by one when the shapes are equal. The null range permutes the heads
    of one result: what unrelated models with the same scores would give. The layer null permutes
    them inside each layer: what models that agree on the layers, and on no head, would give.

    Args:
        results: Two results or more, by name.
        k: Size of the top sets; None: 5 % of the heads, at least 4. Heads that score 0 are in
            none.
        p: Persistence of rank-biased overlap, between 0 and 1.
        n_kv_heads: Key-value heads in a layer, of all results or of each by name. Query heads that
            share one are then compared as a group.
        group_by: Whether a group has the largest or the mean score of its heads.
        n_permutations: Random permutations for each null range.
        level: Coverage of the null ranges.
        seed: Seed of the permutations.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are fewer than two results, a number is out of range, or a result's
            key-value heads are missing or do not divide its heads.
    """
    _check_results(results)
    if k is not None:
        require_whole_number("k", k, at_least=1)
    require_number("p", p, above=0, below=1)
    require_number("level", level, above=0, below=1)
    require_whole_number("n_permutations", n_permutations, at_least=1, at_most=MAX_REPEATS)
    require_choice("group_by", group_by, get_args(GroupBy))
    require_seed("seed", seed)
    means = {name: scores.mean().cpu().double().numpy() for name, scores in results.items()}
    unit = "head"
    if n_kv_heads is not None:
        unit = f"KV group, {group_by}"
        counts = _kv_counts(n_kv_heads, means)
        means = {name: kv_group_means(mean, counts[name], group_by) for name, mean in means.items()}
    settings = _Settings(k, p, n_permutations, level, np.random.default_rng(seed))
    pairs = []
    for a, b in combinations(means, 2):
        definitions = " against ".join(dict.fromkeys([results[a].name, results[b].name]))
        pairs.append(_compare_pair((a, b), definitions, means[a], means[b], settings))
    return LineageComparison(tuple(pairs), unit, p, level, n_permutations)


@dataclass(frozen=True)
class _Settings:
    """What is compared, and how the permutation nulls are drawn."""

    k: int | None
    p: float
    n_permutations: int
    level: float
    rng: np.random.Generator

    def top(self, n: int) -> int:
        """Size of the top sets among n heads."""
        return self.k or max(_FEWEST_TOP_HEADS, round(_TOP_SHARE * n))

    def orders(self, layer: Int[np.ndarray, "head"], *, inside: bool) -> Orders:
        """Random orders of heads, all over the model or inside their layers."""
        draws = self.rng.random((self.n_permutations, len(layer)))
        # The layers stand in ascending order, so that sorting by them keeps each in its place.
        return (draws + layer if inside else draws).argsort(axis=1)

    def middle(self, values: Float[np.ndarray, "order"]) -> tuple[float, float]:
        """The range that holds the middle `level` of the values."""
        low, high = np.quantile(values, [(1 - self.level) / 2, (1 + self.level) / 2])
        return float(low), float(high)


def _similarities(a: Means, b: Means, settings: _Settings) -> tuple[Similarity, ...]:
    """Every statistic with the ranges it has under both kinds of permutation."""
    shared = _shared(a, b)
    k, p = settings.top(int(shared.sum())), settings.p
    one, other, layer = a[shared], b[shared], np.nonzero(shared)[0]
    value = similarities(one, other, k=k, p=p)
    null, layer_null = (
        similarities(one, other, k=k, p=p, orders=settings.orders(layer, inside=inside))
        for inside in (False, True)
    )
    return tuple(
        Similarity(
            name,
            float(value[name][0]),
            settings.middle(null[name]),
            settings.middle(layer_null[name]),
        )
        for name in STATISTICS
    )


def _depth_null(a: Means, b: OtherMeans, settings: _Settings) -> tuple[float, float]:
    """Range of the depth profiles' correlation when the heads of `b` are permuted."""
    seen = ~np.isnan(b)
    orders = settings.orders(np.nonzero(seen)[0], inside=False)
    permuted = np.repeat(b[None], len(orders), axis=0)
    permuted[:, seen] = b[seen][orders]
    return settings.middle(depth_profile_pearson(a, permuted))


def _compare_pair(
    names: tuple[str, str], definitions: str, a: Means, b: OtherMeans, settings: _Settings
) -> PairComparison:
    compared, n = "one by one", 0
    found: tuple[Similarity, ...] = ()
    if a.shape == b.shape:
        n = int(_shared(a, b).sum())
        found = _similarities(a, b, settings)
    else:
        shapes = [f"{n_layers} x {n_heads}" for n_layers, n_heads in (a.shape, b.shape)]
        compared = "profiles only: " + " against ".join(shapes)
    return PairComparison(
        *names,
        compared=compared,
        scores=definitions,
        n=n,
        k=settings.top(n) if n else 0,
        similarities=found,
        profile_distance=profile_distance(a, b),
        depth_pearson=float(depth_profile_pearson(a, b)),
        depth_null=_depth_null(a, b, settings),
    )


def _shared(a: Means, b: Means) -> Bool[np.ndarray, "layer head"]:
    """Heads with a score in both results."""
    return ~(np.isnan(a) | np.isnan(b))


def _kv_counts(
    n_kv_heads: int | Mapping[str, int], names: Mapping[str, Means]
) -> Mapping[str, int]:
    """Key-value heads of each result."""
    if not isinstance(n_kv_heads, Mapping):
        require_whole_number("n_kv_heads", n_kv_heads, at_least=1)
        return dict.fromkeys(names, n_kv_heads)
    missing = sorted(set(names) - set(n_kv_heads))
    if missing:
        raise ValueError(
            f"Expected n_kv_heads for each of {list(names)}; none found for {missing}. Add them, "
            "or give one number for all."
        )
    return n_kv_heads


def _check_results(results: Mapping[str, RetrievalScores]) -> None:
    require_type("results", results, Mapping, remedy="Pass a dict of scores by name.")
    if len(results) < 2:
        raise ValueError(
            f"Expected two results or more; found {shown(list(results))}. Give each a name of its "
            "own."
        )
    for name, scores in results.items():
        require_text("names of results", name)
        require_scores(scores, f"results[{shown(name)}]")
