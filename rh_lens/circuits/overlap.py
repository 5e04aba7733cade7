"""Whether kinds of heads are the same heads: overlap of scores, with intervals and chance."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Float

from rh_lens.analysis import compare_scores, similarities
from rh_lens.analysis.similarity import DEFAULT_P, STATISTICS
from rh_lens.checks import (
    MAX_REPEATS,
    require_choice,
    require_number,
    require_seed,
    require_type,
    require_whole_number,
)
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.representation import html_table


@dataclass(frozen=True, eq=False)
class HeadOverlap:
    """How alike kinds of heads are, in pairs.

    Args:
        table: One row a pair and statistic; see `to_dataframe`.
        k: Size of the top sets.
        level: Coverage that intervals and chance ranges aim at.
    """

    table: pd.DataFrame
    k: int
    level: float

    def __repr__(self) -> str:
        jaccard = self.table[self.table["statistic"] == "jaccard"]
        best = jaccard.sort_values("value", ascending=False).head(3)
        pairs = ", ".join(f"{row.a}/{row.b} {row.value:.2f}" for row in best.itertuples())
        return f"HeadOverlap({len(jaccard)} pairs; highest Jaccard at {self.k}: {pairs})"

    def _repr_html_(self) -> str:
        return html_table(self.table, repr(self), n_rows=30)

    def to_dataframe(self) -> pd.DataFrame:
        """One row a pair and statistic.

        Columns `a`, `b`, `statistic` ("pearson", "spearman", "jaccard", "rbo"), `value`, `low` and
        `high` (over units), `null_low` and `null_high` (heads of one permuted over the model),
        `layer_null_low` and `layer_null_high` (inside their layers), `p` and `layer_p` (one-sided,
        against these), `n_heads` (with a score in both), `k`.
        """
        return self.table.copy()

    def matrix(self, statistic: str = "jaccard") -> pd.DataFrame:
        """One statistic of all pairs as a square; 1 on its diagonal.

        Raises:
            TypeError: The name is no string.
            ValueError: It is unknown.
        """
        require_choice("statistic", statistic, STATISTICS)
        rows = self.table[self.table["statistic"] == statistic]
        names = list(dict.fromkeys([*rows["a"], *rows["b"]]))
        square = np.eye(len(names))
        for a, b, value in zip(rows["a"], rows["b"], rows["value"], strict=True):
            places = names.index(a), names.index(b)
            square[places] = square[places[::-1]] = value
        return pd.DataFrame(square, index=names, columns=names)


def compare_kinds(
    scores: Mapping[str, HeadScores],
    *,
    k: int | None = None,
    p: float = DEFAULT_P,
    n_kv_heads: int | None = None,
    n_resamples: int = 200,
    n_permutations: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> HeadOverlap:
    """How alike the heads of several kinds are: correlations, Jaccard at k, rank-biased overlap.

    The statistics of `rh_lens.analysis.similarities`; their chance ranges and p-values those of
    `compare_scores`, where the heads of one kind are permuted. Intervals are percentiles over
    resampled units (needles, sequences); where two kinds have the same units, both take the same
    ones. Resampling blurs both rankings, so that an interval may lie lower than the value.

    Args:
        scores: Two kinds or more, of one model, by name.
        k: Size of the top sets; None: 5 % of the heads, at least 4. Heads that score 0 or less are
            in none.
        p: Persistence of rank-biased overlap, between 0 and 1.
        n_kv_heads: Key-value heads in a layer: heads that share one are permuted together.
        n_resamples: Resamples for the intervals; of one unit there is no interval.
        n_permutations: Permutations for the chance ranges.
        level: Coverage that both aim at.
        seed: Seed of both.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are fewer than two kinds, they are of models of other shapes, or a number
            is out of range.

    Examples:
        >>> kinds = {
        ...     "induction": induction_heads(model, sequences),
        ...     "previous token": previous_token_heads(model, sequences),
        ... }
        >>> found = compare_kinds(kinds, k=4, n_kv_heads=4, n_permutations=100, n_resamples=10)
        >>> found.matrix("jaccard")
                        induction  previous token
        induction             1.0             0.0
        previous token        0.0             1.0
    """
    _require_one_shape(scores)
    require_whole_number("n_resamples", n_resamples, at_least=1, at_most=MAX_REPEATS)
    require_number("level", level, above=0, below=1)
    require_seed("seed", seed)
    compared = compare_scores(
        {name: one.as_retrieval_scores() for name, one in scores.items()},
        k=k,
        p=p,
        n_kv_heads=n_kv_heads,
        n_permutations=n_permutations,
        level=level,
        seed=seed,
    )
    rng = np.random.default_rng(seed)
    rows, size = [], 0
    for a, b in combinations(scores, 2):
        pair = compared.pair(a, b)
        size = pair.k
        ends = _intervals(scores[a], scores[b], pair.k, p, n_resamples, level, rng)
        for name in STATISTICS:
            found = pair[name]
            rows.append(
                {"a": a, "b": b, "statistic": name, "value": found.value}
                | dict(zip(("low", "high"), ends[name], strict=True))
                | dict(zip(("null_low", "null_high"), found.null, strict=True))
                | dict(zip(("layer_null_low", "layer_null_high"), found.layer_null, strict=True))
                | {"p": found.p, "layer_p": found.layer_p, "n_heads": pair.n, "k": pair.k}
            )
    return HeadOverlap(pd.DataFrame(rows), size, level)


def _require_one_shape(scores: object) -> None:
    """Refuse what are not the scores of two kinds or more on one model."""
    require_type("scores", scores, Mapping, remedy='Pass {"induction": induction_heads(...), ...}.')
    assert isinstance(scores, Mapping)
    for name, one in scores.items():
        require_type(f"scores[{name!r}]", one, HeadScores, remedy="Take what a detector gives.")
    shapes = {tuple(one.values.shape[1:]) for one in scores.values()}
    if len(scores) < 2 or len(shapes) != 1:
        raise ValueError(
            "Expected scores of two kinds or more, of models of one shape; found "
            f"{len(scores)} of the shapes {sorted(shapes)} [layer, head]. Compare detectors on one "
            "model."
        )


def _intervals(
    a: HeadScores,
    b: HeadScores,
    k: int,
    p: float,
    n_resamples: int,
    level: float,
    rng: np.random.Generator,
) -> dict[str, tuple[float, float]]:
    """Percentiles of each statistic over resampled units; NaN where one has a single unit."""
    one, other = a.unit_means(), b.unit_means()
    nothing = dict.fromkeys(STATISTICS, (float("nan"), float("nan")))
    if min(len(one.units), len(other.units)) < 2:
        return nothing
    together = set(one.units) == set(other.units)
    order = [other.units.index(unit) for unit in one.units] if together else slice(None)
    x = one.values.flatten(1).numpy()
    y = other.values[order].flatten(1).numpy()
    draws: dict[str, list[float]] = {name: [] for name in STATISTICS}
    for _ in range(n_resamples):
        first = rng.integers(len(x), size=len(x))
        second = first if together else rng.integers(len(y), size=len(y))
        means = _mean(x[first]), _mean(y[second])
        shared = ~np.isnan(means[0]) & ~np.isnan(means[1])
        if not shared.any():
            return nothing
        found = similarities(means[0][shared], means[1][shared], k=k, p=p)
        for name in STATISTICS:
            draws[name].append(float(found[name][0]))
    ends = [(1 - level) / 2, (1 + level) / 2]
    return {
        name: (float(low), float(high))
        for name in STATISTICS
        for low, high in [np.nanquantile(draws[name], ends)]
    }


def _mean(values: Float[np.ndarray, "unit head"]) -> Float[np.ndarray, " head"]:
    """Mean over the units in which a head has a score; NaN where it has none."""
    counts = (~np.isnan(values)).sum(axis=0)
    sums = np.nansum(values, axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
