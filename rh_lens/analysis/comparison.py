"""Two or more results, compared in pairs: the statistics, and where chance puts them."""

from dataclasses import dataclass

import pandas as pd

from rh_lens.analysis.similarity import STATISTICS
from rh_lens.checks import require_choice
from rh_lens.representation import short_repr


@dataclass(frozen=True)
class Similarity:
    """One statistic of a pair, and where chance puts it.

    Args:
        name: One of `similarity.STATISTICS`.
        value: The statistic; NaN where it is not defined.
        null: Range of the middle 95 % (or `level`) when the heads of one result are permuted.
        layer_null: The same when they are permuted inside their layers: what agreement on the
            layers alone gives.
        p: Share of the permutations (and of the result itself) that are as alike or more: of the
            one-sided test that the heads of one model have nothing to do with those of the other.
        layer_p: The same inside layers: that they have no more than their layers in common.
        smallest_p: The p-value of the most alike arrangement that was met: 0.008 where the top sets
            lie in 2 of 16 groups each, however alike the models are.
        smallest_layer_p: The same inside layers.
    """

    name: str
    value: float
    null: tuple[float, float]
    layer_null: tuple[float, float]
    p: float
    layer_p: float
    smallest_p: float
    smallest_layer_p: float


@dataclass(frozen=True)
class PairComparison:
    """Two results, compared.

    Args:
        a: Name of the one.
        b: Name of the other.
        compared: "one by one" for equal shapes, otherwise "profiles only" and the shapes: there
            is no telling which head corresponds to which.
        scores: Definition of the scores, or both where they differ, such as "position against
            event": part of any difference is then the definitions'.
        n: Heads or KV groups with a score in both; 0 when compared by profiles only.
        k: Size of the top sets.
        group_size: Heads that changed places together: 1 for heads one by one, more for the heads
            of a key-value group.
        n_arrangements: Different arrangements of the scores over the model; NaN when compared by
            profiles only.
        n_layer_arrangements: The same inside the layers.
        similarities: One for each statistic; none when compared by profiles only.
        sorted_score_distance: Mean difference between the sorted scores (the function of
            this name).
        layer_profile_pearson: Correlation of the layers' mean scores on relative layers; see
            `layer_profile_pearson`.
        layer_profile_null: Its range when the heads of one result are permuted.
    """

    a: str
    b: str
    compared: str
    scores: str
    n: int
    k: int
    group_size: int
    n_arrangements: float
    n_layer_arrangements: float
    similarities: tuple[Similarity, ...]
    sorted_score_distance: float
    layer_profile_pearson: float
    layer_profile_null: tuple[float, float]

    __repr__ = short_repr

    @property
    def permuted(self) -> str:
        """What changed places: "heads" or "KV groups of 2", say."""
        return "heads" if self.group_size == 1 else f"KV groups of {self.group_size}"

    def __getitem__(self, statistic: str) -> Similarity:
        """The statistic with this name.

        Raises:
            TypeError: The name is no string.
            ValueError: The name is unknown, or the pair was compared by profiles only.
        """
        if not self.similarities:
            raise ValueError(
                f"Expected a pair compared one by one; found {self.a} and {self.b} compared by "
                f"{self.compared}. Use sorted_score_distance or layer_profile_pearson."
            )
        require_choice("statistic", statistic, STATISTICS)
        return {similarity.name: similarity for similarity in self.similarities}[statistic]


@dataclass(frozen=True)
class LineageComparison:
    """Every pair of some results.

    Args:
        pairs: In the order of the results.
        unit: What was compared: "head", or "KV group, max" or "KV group, mean" of its heads.
        p: Persistence of rank-biased overlap.
        level: Coverage of the null ranges.
        n_permutations: Random permutations for each null range.
    """

    pairs: tuple[PairComparison, ...]
    unit: str
    p: float
    level: float
    n_permutations: int

    __repr__ = short_repr

    def pair(self, a: str, b: str) -> PairComparison:
        """The comparison of two results, named in either order.

        Raises:
            TypeError: A name is no string.
            ValueError: There is no such pair.
        """
        names = list(dict.fromkeys(name for pair in self.pairs for name in (pair.a, pair.b)))
        require_choice("a", a, names)
        require_choice("b", b, [name for name in names if name != a])
        return {frozenset((pair.a, pair.b)): pair for pair in self.pairs}[frozenset((a, b))]

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each pair.

        Returns:
            Columns `a`, `b`, `unit`, `compared`, `scores`, `n`, `k`, `permuted`, `n_arrangements`,
            `n_layer_arrangements`; for each statistic `pearson`, `spearman`, `jaccard`, `rbo` its
            value and, with the endings `_p`, `_smallest_p`, `_null_low`, `_null_high`, `_layer_p`,
            `_smallest_layer_p`, `_layer_null_low` and `_layer_null_high`, its place among the
            permutations, NaN when compared by profiles only; `sorted_score_distance`,
            `layer_profile_pearson`, `layer_profile_null_low` and `layer_profile_null_high`.
        """
        return pd.DataFrame([self._row(pair) for pair in self.pairs])

    def _row(self, pair: PairComparison) -> dict[str, object]:
        row: dict[str, object] = {"a": pair.a, "b": pair.b, "unit": self.unit}
        row |= {"compared": pair.compared, "scores": pair.scores, "n": pair.n, "k": pair.k}
        row |= {"permuted": pair.permuted, "n_arrangements": pair.n_arrangements}
        row["n_layer_arrangements"] = pair.n_layer_arrangements
        for name in STATISTICS:
            found = pair[name] if pair.similarities else _undefined(name)
            row[name] = found.value
            row[f"{name}_p"], row[f"{name}_layer_p"] = found.p, found.layer_p
            row[f"{name}_smallest_p"] = found.smallest_p
            row[f"{name}_smallest_layer_p"] = found.smallest_layer_p
            row[f"{name}_null_low"], row[f"{name}_null_high"] = found.null
            row[f"{name}_layer_null_low"], row[f"{name}_layer_null_high"] = found.layer_null
        return row | {
            "sorted_score_distance": pair.sorted_score_distance,
            "layer_profile_pearson": pair.layer_profile_pearson,
            "layer_profile_null_low": pair.layer_profile_null[0],
            "layer_profile_null_high": pair.layer_profile_null[1],
        }


def _undefined(name: str) -> Similarity:
    nan = float("nan")
    return Similarity(name, nan, (nan, nan), (nan, nan), nan, nan, nan, nan)
