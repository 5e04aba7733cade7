"""Whether models share their retrieval heads: results compared in pairs, beside chance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias, get_args

import numpy as np
from jaxtyping import Bool, Float

from rh_lens.analysis.comparison import LineageComparison, PairComparison, Similarity
from rh_lens.analysis.kv_groups import GroupBy, kv_group_means, require_divisor
from rh_lens.analysis.layer_profiles import layer_profile_pearson, sorted_score_distance
from rh_lens.analysis.orders import count_arrangements, exchangeable_blocks, random_orders
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
AllMeans: TypeAlias = Mapping[str, Float[np.ndarray, "_ _"]]

# At least this many heads in a top set, however small the model.
_FEWEST_TOP_HEADS = 4
_TOP_SHARE = 0.05


def compare_scores(
    results: Mapping[str, RetrievalScores],
    *,
    k: int | None = None,
    p: float = DEFAULT_P,
    n_kv_heads: int | Mapping[str, int | None] | None = None,
    group_by: GroupBy | None = None,
    n_permutations: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> LineageComparison:
    """Every pair of results: how alike their head scores are, and how alike chance makes them.

    Head scores are compared one by one when the shapes are equal. The null permutes the heads of
    one result over the model: what unrelated models with the same scores would give. The layer null
    permutes them inside each layer: what models that agree on the layers, and on nothing else,
    would give. Heads that share a key-value head score alike, so that whole groups change places,
    and heads inside their group. In simulations 19 % of strangers whose heads come in pairs have
    p <= 0.05 (Pearson) head by head, 5 to 7 % by groups. Where models have chosen the same layer
    the p over the model is 0.05 or less for 25 % of strangers, where each has chosen a layer of its
    own for 8 %; the p inside layers for 5 to 7 %, and of the top sets for none: with few groups
    in a layer no agreement of sets can be surprising (`Similarity.smallest_layer_p`).

    Args:
        results: Two results or more, by name.
        k: Size of the top sets; None: 5 % of the heads, at least 4. Heads that score 0 are in
            none.
        p: Persistence of rank-biased overlap, between 0 and 1.
        n_kv_heads: Key-value heads in a layer, of all results or of each by name; None where they
            are not known. A pair of which neither is known is permuted head by head; where the two
            differ, in the smallest groups that keep both.
        group_by: Compare groups instead of heads: by the largest ("max") or the mean score of their
            heads. None: heads one by one.
        n_permutations: Random permutations for each null range.
        level: Coverage of the null ranges.
        seed: Seed of the permutations.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are fewer than two results, a number is out of range, or a result's
            key-value heads are missing (for `group_by`: not known) or do not divide its heads.

    Examples:
        >>> runs = {"run": scores, "same run": scores}
        >>> found = compare_scores(runs, n_kv_heads=4, n_permutations=100)
        >>> found.to_dataframe()[["a", "b", "pearson", "pearson_p"]]
             a         b  pearson  pearson_p
        0  run  same run      1.0   0.009901
    """
    _check_results(results, k)
    require_number("p", p, above=0, below=1)
    require_number("level", level, above=0, below=1)
    require_whole_number("n_permutations", n_permutations, at_least=1, at_most=MAX_REPEATS)
    if group_by is not None:
        require_choice("group_by", group_by, get_args(GroupBy))
    require_seed("seed", seed)
    means = {name: scores.mean().cpu().double().numpy() for name, scores in results.items()}
    counts = _kv_counts(n_kv_heads, means)
    unit = "head" if group_by is None else f"KV group, {group_by}"
    if group_by is not None:
        means = _group_scores(means, counts, group_by)
        counts = dict.fromkeys(means)
    settings = _Settings(k, p, n_permutations, level, np.random.default_rng(seed))
    pairs = []
    for a, b in combinations(means, 2):
        definitions = " against ".join(dict.fromkeys([results[a].name, results[b].name]))
        sizes = [means[name].shape[1] // (counts[name] or means[name].shape[1]) for name in (a, b)]
        pairs.append(_compare_pair((a, b), definitions, means[a], means[b], sizes, settings))
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

    def middle(self, values: Float[np.ndarray, " order"]) -> tuple[float, float]:
        """The range that holds the middle `level` of the values."""
        low, high = np.quantile(values, [(1 - self.level) / 2, (1 + self.level) / 2])
        return float(low), float(high)


def _similarities(
    a: Means, b: Means, size: int, settings: _Settings
) -> tuple[tuple[Similarity, ...], float, float]:
    """Every statistic with its place among both kinds of permutation, and how many there are."""
    shared = _shared(a, b)
    k, p = settings.top(int(shared.sum())), settings.p
    one, other = a[shared], b[shared]
    value = similarities(one, other, k=k, p=p)
    nulls: list[dict[str, Float[np.ndarray, " order"]]] = []
    arrangements: list[float] = []
    for inside in (False, True):
        blocks = exchangeable_blocks(shared, size, inside=inside)
        orders = random_orders(blocks, settings.n_permutations, settings.rng)
        nulls.append(similarities(one, other, k=k, p=p, orders=orders))
        arrangements.append(count_arrangements(blocks, other))
    found = tuple(
        _beside(name, float(value[name][0]), nulls[0][name], nulls[1][name], settings)
        for name in STATISTICS
    )
    return found, arrangements[0], arrangements[1]


def _beside(
    name: str,
    value: float,
    null: Float[np.ndarray, " order"],
    layer_null: Float[np.ndarray, " order"],
    settings: _Settings,
) -> Similarity:
    """A statistic and its place among what it is over permutations of two kinds."""
    return Similarity(
        name,
        value,
        null=settings.middle(null),
        layer_null=settings.middle(layer_null),
        p=_p_value(value, null),
        layer_p=_p_value(value, layer_null),
        smallest_p=_p_value(max(value, null.max()), null),
        smallest_layer_p=_p_value(max(value, layer_null.max()), layer_null),
    )


def _p_value(value: float, null: Float[np.ndarray, " order"]) -> float:
    """Share of the permutations, and of what was found, that are as alike or more; NaN of NaN."""
    if math.isnan(value):
        return math.nan
    # Permutations that only exchange equal scores differ by rounding.
    return float(1 + (null >= value - 1e-12).sum()) / (1 + len(null))


def _layer_profile_null(
    a: Means, b: OtherMeans, size: int, settings: _Settings
) -> tuple[float, float]:
    """Range of the layer profiles' correlation when the heads of `b` are permuted."""
    seen = ~np.isnan(b)
    blocks = exchangeable_blocks(seen, size, inside=False)
    orders = random_orders(blocks, settings.n_permutations, settings.rng)
    permuted = np.repeat(b[None], len(orders), axis=0)
    permuted[:, seen] = b[seen][orders]
    return settings.middle(layer_profile_pearson(a, permuted))


def _compare_pair(
    names: tuple[str, str],
    definitions: str,
    a: Means,
    b: OtherMeans,
    sizes: Sequence[int],
    settings: _Settings,
) -> PairComparison:
    compared, n, size = "one by one", 0, sizes[1]
    found: tuple[Similarity, ...] = ()
    arrangements = layer_arrangements = math.nan
    if a.shape == b.shape:
        n, size = int(_shared(a, b).sum()), math.lcm(*sizes)
        found, arrangements, layer_arrangements = _similarities(a, b, size, settings)
    else:
        shapes = [f"{n_layers} x {n_heads}" for n_layers, n_heads in (a.shape, b.shape)]
        compared = "profiles only: " + " against ".join(shapes)
    return PairComparison(
        *names,
        compared=compared,
        scores=definitions,
        n=n,
        k=settings.top(n) if n else 0,
        group_size=size,
        n_arrangements=arrangements,
        n_layer_arrangements=layer_arrangements,
        similarities=found,
        sorted_score_distance=sorted_score_distance(a, b),
        layer_profile_pearson=float(layer_profile_pearson(a, b)),
        layer_profile_null=_layer_profile_null(a, b, size, settings),
    )


def _shared(a: Means, b: Means) -> Bool[np.ndarray, "layer head"]:
    """Heads with a score in both results."""
    return ~(np.isnan(a) | np.isnan(b))


def _kv_counts(
    n_kv_heads: int | Mapping[str, int | None] | None, means: AllMeans
) -> Mapping[str, int | None]:
    """Key-value heads of each result, None where they are not known."""
    if not isinstance(n_kv_heads, Mapping):
        n_kv_heads = dict.fromkeys(means, n_kv_heads)
    missing = sorted(set(means) - set(n_kv_heads))
    if missing:
        raise ValueError(
            f"Expected n_kv_heads for each of {list(means)}; none found for {missing}. Add them, "
            "None where they are not known, or give one number for all."
        )
    for name, mean in means.items():
        count = n_kv_heads[name]
        if count is not None:
            require_whole_number("n_kv_heads", count, at_least=1)
            require_divisor(count, mean.shape[1])
    return n_kv_heads


def _group_scores(
    means: AllMeans, counts: Mapping[str, int | None], group_by: GroupBy
) -> dict[str, Float[np.ndarray, "_ _"]]:
    """Scores of groups instead of heads."""
    found = {}
    for name, mean in means.items():
        count = counts[name]
        if count is None:
            raise ValueError(
                f"Expected n_kv_heads of {name!r}, to compare key-value groups; found none. Give "
                "it, or leave group_by out."
            )
        found[name] = kv_group_means(mean, count, group_by)
    return found


def _check_results(results: Mapping[str, RetrievalScores], k: int | None) -> None:
    require_type("results", results, Mapping, remedy="Pass a dict of scores by name.")
    if len(results) < 2:
        raise ValueError(
            f"Expected two results or more; found {shown(list(results))}. Give each a name of its "
            "own."
        )
    for name, scores in results.items():
        require_text("names of results", name)
        require_scores(scores, f"results[{shown(name)}]")
    if k is not None:
        fewest = min(scores.values[0].numel() for scores in results.values())
        remedy = "Top sets hold no more heads than the smallest result has."
        require_whole_number("k", k, at_least=1, at_most=fewest, remedy=remedy)
