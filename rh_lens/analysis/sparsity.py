"""How few heads hold the retrieval: shares, concentration, and what the threshold decides."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from rh_lens.analysis.trial_groups import ScoresLike, scores_of
from rh_lens.checks import require_list, require_number, require_tensor, require_whole_number
from rh_lens.detection import RetrievalScores, require_scores
from rh_lens.heads import Head
from rh_lens.representation import short_repr

THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)


@dataclass(frozen=True)
class Sparsity:
    """How the retrieval scores of a model's heads are spread.

    Shares of these counts are of `n_heads`. Heads without a score (no attention, or the answer was
    never in sight) are counted apart and are in no other number.

    Args:
        threshold: Score from which on a head counts as a retrieval head.
        n_heads: Heads with a score.
        n_without: Heads without one.
        n_above: Heads above the threshold, strictly, as in the published tables.
        n_at_least: Heads at the threshold or above, as in `RetrievalScores.heads`.
        n_between: Heads above 0, strictly, and at the threshold or below.
        n_zero: Heads at exactly 0.
        n_negative: Heads below 0; scores that count copies have none.
        n_always_active: Heads above 0 on every sample; None where only means are known.
        gini: Gini coefficient, 0 where all heads score alike, near 1 where one head has it all;
            NaN where a score is negative or none is above 0.
        n_top: Heads in the top 1 %, rounded up.
        top_mass: Share of the sum of all scores that these hold; NaN as for `gini`.
    """

    threshold: float
    n_heads: int
    n_without: int
    n_above: int
    n_at_least: int
    n_between: int
    n_zero: int
    n_negative: int
    n_always_active: int | None
    gini: float
    n_top: int
    top_mass: float

    __repr__ = short_repr

    def share(self, n_heads: int) -> float:
        """Share of the heads with a score, such as `share(n_zero)`.

        Raises:
            TypeError: An argument is of another type.
            ValueError: The number is negative.
        """
        require_whole_number("n_heads", n_heads, at_least=0)
        return n_heads / self.n_heads

    def to_dataframe(self) -> pd.DataFrame:
        """One row: the fields, and the shares `share_above`, `share_at_least` and so on."""
        counts = ("above", "at_least", "between", "zero")
        shares = {f"share_{name}": self.share(getattr(self, f"n_{name}")) for name in counts}
        return pd.DataFrame([asdict(self) | shares])


def measure_sparsity(scores: ScoresLike, *, threshold: float = 0.1) -> Sparsity:
    """How many heads score how much, and how much of all score the best of them hold.

    Args:
        scores: Scores of every head, or a run.
        threshold: The paper's choice is 0.1 (Wu et al. 2024, arXiv:2404.15574).

    Raises:
        TypeError: An argument is of another type.
        ValueError: No head has a score.

    Examples:
        >>> found = measure_sparsity(result)
        >>> found.n_at_least, found.n_zero, round(found.gini, 2)
        (4, 23, 0.86)
    """
    scores = scores_of(scores)
    require_number("threshold", threshold)
    values = _scored(scores)
    n_top = math.ceil(len(values) / 100)
    return Sparsity(
        threshold=threshold,
        n_heads=len(values),
        n_without=scores.mean().numel() - len(values),
        n_above=int((values > threshold).sum()),
        n_at_least=int((values >= threshold).sum()),
        n_between=int(((values > 0) & (values <= threshold)).sum()),
        n_zero=int((values == 0).sum()),
        n_negative=int((values < 0).sum()),
        n_always_active=_n_always_active(scores),
        gini=gini(values),
        n_top=n_top,
        top_mass=_share_of_top(values, n_top),
    )


def gini(values: Float[Tensor, " head"]) -> float:
    r"""Gini coefficient of scores of 0 or more.

    $\sum_i (2i - n - 1) x_i / (n \sum_i x_i)$ over the scores in ascending order, $i$ from 1: half
    their mean absolute difference over their mean. It reaches $1 - 1/n$.

    Returns:
        A number in [0, 1); NaN where a score is negative or NaN, or none is above 0.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no value, or more than one axis.

    Examples:
        >>> round(gini(torch.tensor([0.0, 0.0, 0.0, 1.0])), 3)
        0.75
        >>> gini(torch.ones(4))
        0.0
    """
    require_tensor("values", values, ("head",))
    x = values.double().sort().values
    if not _is_mass(x):
        return math.nan
    n = len(x)
    rank = 2 * x.new_tensor(range(1, n + 1)) - n - 1
    return float((rank * x).sum() / (n * x.sum()))


@dataclass(frozen=True)
class ThresholdSensitivity:
    """What the set of retrieval heads is at each threshold.

    Args:
        thresholds: Ascending.
        sets: Heads with a score of at least each threshold, best first.
        reference: The threshold that the others are compared with.
        reference_set: Its heads, best first.
        n_heads: Heads with a score.
    """

    thresholds: tuple[float, ...]
    sets: tuple[tuple[Head, ...], ...]
    reference: float
    reference_set: tuple[Head, ...]
    n_heads: int

    __repr__ = short_repr

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each threshold.

        Returns:
            Columns `threshold`, `n`, `share` (of the heads with a score), `jaccard` with the
            reference set (1 where both are empty), `enter` and `leave`: labels of the heads that
            are only in this set, and only in the reference set, best first.
        """
        rows = [
            {
                "threshold": threshold,
                "n": len(heads),
                "share": len(heads) / self.n_heads,
                **set_change(self.reference_set, heads),
            }
            for threshold, heads in zip(self.thresholds, self.sets, strict=True)
        ]
        return pd.DataFrame(rows)


def threshold_sensitivity(
    scores: ScoresLike, thresholds: Iterable[float] = THRESHOLDS, *, reference: float = 0.1
) -> ThresholdSensitivity:
    """How the set of retrieval heads changes with the threshold.

    Args:
        scores: Scores of every head, or a run.
        thresholds: Thresholds to try, in any order; a head at the threshold is in the set.
        reference: The threshold to compare with.

    Raises:
        TypeError: An argument is of another type.
        ValueError: No head has a score, or there is no threshold.

    Examples:
        >>> found = threshold_sensitivity(result, [0.05, 0.1, 0.99])
        >>> found.to_dataframe()[["threshold", "n", "enter"]]
           threshold  n           enter
        0       0.05  7  L1H6 L1H7 L2H1
        1       0.10  4
        2       0.99  3
    """
    scores = scores_of(scores)
    ascending = require_thresholds(thresholds)
    require_number("reference", reference)
    return ThresholdSensitivity(
        thresholds=ascending,
        sets=tuple(tuple(scores.heads(threshold)) for threshold in ascending),
        reference=reference,
        reference_set=tuple(scores.heads(reference)),
        n_heads=len(_scored(scores)),
    )


def require_thresholds(thresholds: Iterable[float]) -> tuple[float, ...]:
    """Thresholds in ascending order, each once.

    Raises:
        TypeError: They are no list of numbers.
        ValueError: There is none, or one is not finite.
    """
    remedy = "Pass some, such as (0.1, 0.5)."
    given = require_list("thresholds", thresholds, (int, float), at_least=1, remedy=remedy)
    for threshold in given:
        require_number("thresholds", threshold)
    return tuple(sorted(set(given)))


def set_change(before: Iterable[Head], after: Iterable[Head]) -> dict[str, float | str]:
    """Jaccard index of two sets of heads, 1 where both are empty, and who enters and leaves.

    Returns:
        `jaccard`; `enter` and `leave`: labels in the order given, separated by spaces.
    """
    before, after = tuple(before), tuple(after)
    union = set(before) | set(after)
    return {
        "jaccard": len(set(before) & set(after)) / len(union) if union else 1.0,
        "enter": " ".join(head.label for head in after if head not in set(before)),
        "leave": " ".join(head.label for head in before if head not in set(after)),
    }


def _scored(scores: RetrievalScores) -> Float[Tensor, " head"]:
    """Retrieval scores of the heads that have one."""
    require_scores(scores)
    mean = scores.mean()
    values = mean[~mean.isnan()]
    if not len(values):
        raise ValueError(
            f"Expected a head with a score; found none among {mean.numel()}. The heads could not "
            "see the answer: check the prompts' length against the model's window."
        )
    return values


def _n_always_active(scores: RetrievalScores) -> int | None:
    """Heads above 0 on every sample."""
    if scores.origin is not None and scores.origin.n_samples is None:
        return None
    return int((scores.values > 0).all(dim=0).sum())


def _share_of_top(values: Float[Tensor, " head"], n_top: int) -> float:
    """Share of the sum that the highest values hold."""
    if not _is_mass(values):
        return math.nan
    return float(values.topk(n_top).values.sum() / values.sum())


def _is_mass(values: Float[Tensor, " head"]) -> bool:
    """Whether the values are shares of something: none negative, their sum above 0."""
    return bool((values >= 0).all() and values.sum() > 0)
