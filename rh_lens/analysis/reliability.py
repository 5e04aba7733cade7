"""Whether a run would come out the same again: halves and needles compared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rh_lens.analysis.similarity import DEFAULT_P, STATISTICS, similarities
from rh_lens.analysis.trial_groups import (
    Groups,
    ScoresLike,
    group_means,
    group_trials,
    scored_trials,
    trials_of,
)
from rh_lens.checks import (
    MAX_REPEATS,
    require_choice,
    require_list,
    require_number,
    require_seed,
    require_text,
    require_whole_number,
)
from rh_lens.detection import whole_multiples
from rh_lens.representation import short_repr


@dataclass(frozen=True, eq=False)
class SplitHalf:
    """Head scores of one half of a run against those of the other, over several splits.

    Args:
        by: Columns that name the units that were divided; trials of one unit stay together.
        n_units: How many units there are.
        k: Size of the top sets.
        table: One row a split, columns `pearson`, `spearman`, `jaccard`, `rbo` (see
            `similarity.similarities`; NaN where one is not defined) and `n_heads`, those with a
            score in both halves.
        all_splits: Whether the splits are all there are, or drawn at random.
    """

    by: tuple[str, ...]
    n_units: int
    k: int
    table: pd.DataFrame
    all_splits: bool

    __repr__ = short_repr

    @property
    def pearson(self) -> float:
        """Mean correlation between halves, as it is: each half has half of the units.

        NaN where that of a split is not defined, as all scores of a half are equal.
        """
        return float(self.table["pearson"].mean(skipna=False))

    @property
    def spearman_brown(self) -> float:
        """What `pearson` leads to expect between two whole runs: 2 r / (1 + r).

        The formula of Spearman and of Brown (1910) for doubled length: it takes units to be drawn
        at random and alike in spread.
        """
        return 2 * self.pearson / (1 + self.pearson)

    def summary(self) -> pd.DataFrame:
        """Mean, smallest and largest value of each statistic, and `n` splits that have one."""
        return _summary(self.table)

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each split: a copy of the table."""
        return self.table.copy()


def split_half(
    scores: ScoresLike,
    trials: pd.DataFrame | None = None,
    *,
    by: Sequence[str] = ("needle",),
    k: int = 20,
    p: float = DEFAULT_P,
    n_splits: int = 100,
    seed: int = 0,
) -> SplitHalf:
    """How alike head scores are in two halves of a run.

    Halves by needle say what new needles would change, halves by cell (`by=CELL`) what a new grid
    with the same needles would: much less, so that halves of trials promise too much.

    Args:
        scores: Scores of some trials; or a run, which brings its trials.
        trials: One row a trial, from `trial_table` or a stored run.
        by: Columns that name the units to divide.
        k: Size of the top sets.
        p: Persistence of rank-biased overlap.
        n_splits: Most splits; all there are, where that is no more.
        seed: Seed of the splits.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is one unit only, no head has a score in both halves, or the table lacks a
            column or a trial.

    Examples:
        >>> split_half(result, k=4).summary()
          statistic      mean       min       max    n
        0   pearson  0.992730  0.991545  0.993499  3.0
        1  spearman  0.798536  0.774704  0.812852  3.0
        2   jaccard  1.000000  1.000000  1.000000  3.0
        3       rbo  0.885702  0.877763  0.890782  3.0
    """
    scores, trials = scored_trials(scores, trials)
    require_whole_number("k", k, at_least=1)
    require_number("p", p, above=0, below=1)
    require_whole_number("n_splits", n_splits, at_least=1, at_most=MAX_REPEATS)
    require_seed("seed", seed)
    require_list("by", by, str, at_least=1, remedy="Name columns of the table of trials.")
    groups = group_trials(trials_of(scores, trials, by), by)
    if groups.n < 2:
        raise ValueError(
            f"Expected two units or more, by {list(by)}, to divide; found {groups.n}. Divide by "
            "another column, or run with more needles."
        )
    total = comb(groups.n, groups.n // 2) // (2 if groups.n % 2 == 0 else 1)
    everything = total <= n_splits
    halves = _all_halves(groups.n) if everything else _random_halves(groups.n, n_splits, seed)
    # No statistic depends on the unit; of whole numbers, equal sums tie.
    values = whole_multiples(scores.values)
    rows = [_compare_halves(values, groups, half, k, p) for half in halves]
    return SplitHalf(tuple(by), groups.n, k, pd.DataFrame(rows), everything)


@dataclass(frozen=True, eq=False)
class NeedleAgreement:
    """How alike the head scores of single needles are.

    Args:
        needles: Value of each, in order.
        n_trials: Trials of each.
        k: Size of the top sets.
        table: One row a pair: `a`, `b`, `pearson`, `spearman`, `jaccard`, `rbo` (NaN where one is
            not defined) and `n_heads`, those with a score for both.
    """

    needles: tuple[Any, ...]
    n_trials: tuple[int, ...]
    k: int
    table: pd.DataFrame

    __repr__ = short_repr

    def matrix(self, statistic: str = "pearson") -> pd.DataFrame:
        """Needles by needles, 1 on the diagonal.

        Args:
            statistic: One of `similarity.STATISTICS`.

        Raises:
            TypeError: An argument is of another type.
            ValueError: It is another.
        """
        require_choice("statistic", statistic, STATISTICS)
        square = pd.DataFrame(np.eye(len(self.needles)), self.needles, self.needles)
        for a, b, value in self.table[["a", "b", statistic]].itertuples(index=False):
            square.loc[a, b] = square.loc[b, a] = value
        return square

    def summary(self) -> pd.DataFrame:
        """Mean, smallest and largest value of each statistic, and `n` pairs that have one."""
        return _summary(self.table)

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each pair: a copy of the table."""
        return self.table.copy()


def needle_agreement(
    scores: ScoresLike,
    trials: pd.DataFrame | None = None,
    *,
    by: str = "needle",
    k: int = 20,
    p: float = DEFAULT_P,
) -> NeedleAgreement:
    """Head scores of each needle against those of each other one.

    Args:
        scores: Scores of some trials; or a run, which brings its trials.
        trials: One row a trial, from `trial_table` or a stored run.
        by: Another column to tell groups by, such as "context_length".
        k: Size of the top sets.
        p: Persistence of rank-biased overlap.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is one needle only, two share no head with a score, or the table lacks a
            column or a trial.

    Examples:
        >>> needle_agreement(result, k=4).summary()
          statistic      mean       min       max    n
        0   pearson  0.985605  0.971074  0.999024  6.0
        1  spearman  0.823235  0.753706  0.907221  6.0
        2   jaccard  1.000000  1.000000  1.000000  6.0
        3       rbo  0.921250  0.887368  0.962172  6.0
    """
    scores, trials = scored_trials(scores, trials)
    require_whole_number("k", k, at_least=1)
    require_number("p", p, above=0, below=1)
    require_text("by", by, remedy="Name a column of the table of trials.")
    groups = group_trials(trials_of(scores, trials, [by]), [by])
    if groups.n < 2:
        raise ValueError(
            f"Expected two values or more in column {by!r}; found {groups.n}. "
            "Run with more needles."
        )
    means, _ = group_means(scores.values, groups)
    rows = [
        {"a": groups.names[i], "b": groups.names[j], **_similar(means[i], means[j], k, p)}
        for i, j in combinations(range(groups.n), 2)
    ]
    n_trials = tuple(np.bincount(groups.code).tolist())
    return NeedleAgreement(groups.names, n_trials, k, pd.DataFrame(rows))


def _all_halves(n: int) -> Iterator[Bool[np.ndarray, " unit"]]:
    """Every way to divide n units in two, as which are in the first half."""
    for chosen in combinations(range(n), n // 2):
        # Of an even number, each division would come twice: keep the one with unit 0.
        if n % 2 or 0 in chosen:
            yield np.isin(np.arange(n), chosen)


def _random_halves(n: int, n_splits: int, seed: int) -> Iterator[Bool[np.ndarray, " unit"]]:
    rng = np.random.default_rng(seed)
    for _ in range(n_splits):
        yield rng.permutation(n) < n // 2


def _compare_halves(
    values: Float[Tensor, "trial layer head"],
    groups: Groups,
    half: Bool[np.ndarray, " unit"],
    k: int,
    p: float,
) -> dict[str, float]:
    first = torch.from_numpy(half[groups.code])
    return _similar(values[first].nanmean(dim=0), values[~first].nanmean(dim=0), k, p)


def _similar(
    a: Float[Tensor, "layer head"], b: Float[Tensor, "layer head"], k: int, p: float
) -> dict[str, float]:
    """Every statistic over the heads that have a score in both."""
    shared = ~(a.isnan() | b.isnan())
    found = similarities(a[shared].double().numpy(), b[shared].double().numpy(), k=k, p=p)
    return {name: float(value[0]) for name, value in found.items()} | {"n_heads": int(shared.sum())}


def _summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean, smallest and largest value of each statistic where it is defined, and of how many."""
    values = table[list(STATISTICS)]
    rows = values.agg(["mean", "min", "max", "count"]).T.rename_axis("statistic").reset_index()
    return rows.rename(columns={"count": "n"})
