"""What the published protocol's flaws did to a table of scores."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rh_lens.analysis.duplicates import (
    DuplicateRuns,
    Repetition,
    duplicate_runs,
    repetition,
)
from rh_lens.analysis.sparsity import Sparsity, measure_sparsity, require_thresholds, set_change
from rh_lens.analysis.trial_groups import ScoresLike, scores_of
from rh_lens.detection import RetrievalScores, ScoreOrigin
from rh_lens.heads import Head
from rh_lens.representation import short_repr

# Scores are sums of 1/length, so that 1 may come out as 1.0000000000000002.
_ABOVE_ONE = 1 + 1e-9
_ABOVE_ONE_COLUMNS = ["layer", "head", "label", "n_above_one", "max"]


@dataclass(frozen=True, eq=False)
class Audit:
    """Repeated, empty and excessive samples, and what they do to the set of retrieval heads.

    Args:
        origin: The file that was audited, if it was one.
        duplicates: Which samples equal others in every head's score.
        n_copies: How many equal copies of one sequence of samples the table is made of; 1 when it
            is no repetition. A run started twice with the published code appends to its old scores.
        n_zero_samples: Samples in which every head scores 0. A needle whose span was missed leaves
            one.
        repetition: How often a sample equals the one before, as all depths of a collapsed sweep do
            but the last: they are one prompt. Samples of zeros do not count.
        n_above_one: Scores of a head on a sample that exceed 1 by more than rounding, as they do
            where a model repeats itself and every repeat counts.
        max_score: The highest score of a head on a sample; NaN when there is none.
        above_one: Heads with such scores, columns `layer`, `head`, `label`, `n_above_one`, `max`;
            most first.
        sparsity: Shares of heads at the lowest of the thresholds, of the scores as they are.
        effects: The set of retrieval heads before and after each correction; see `to_dataframe`.
    """

    origin: ScoreOrigin | None
    duplicates: DuplicateRuns
    n_copies: int
    n_zero_samples: int
    repetition: Repetition
    n_above_one: int
    max_score: float
    above_one: pd.DataFrame
    sparsity: Sparsity
    effects: pd.DataFrame

    __repr__ = short_repr

    @property
    def n_samples(self) -> int:
        """Samples in all."""
        return self.duplicates.n_samples

    @property
    def depth_collapsed(self) -> bool:
        """Whether at least half of the samples repeat as in collapsed depth sweeps."""
        return self.repetition.is_collapse

    def to_dataframe(self) -> pd.DataFrame:
        """The set of retrieval heads before and after each correction.

        Returns:
            Columns `threshold`, `correction` ("as given", "each sample once", "no all-zero
            samples", "cut at 1", "all three"), `n_samples`, `largest_change` (of a head's retrieval
            score; NaN without a sample), `n` (heads at the threshold or above), `jaccard` with the
            set as given, and `enter` and `leave`, labels of heads.
        """
        return self.effects.copy()

    def to_record(self) -> dict[str, Any]:
        """The whole audit as JSON values; None where a number is missing."""
        numbers = ("n_samples", "n_copies", "n_zero_samples", "depth_collapsed", "n_above_one")
        return {
            "origin": None if self.origin is None else asdict(self.origin),
            "n_distinct": self.duplicates.n_distinct,
            "run_lengths": list(self.duplicates.run_lengths),
            "repetition": asdict(self.repetition),
            **{name: getattr(self, name) for name in numbers},
            "max_score": None if math.isnan(self.max_score) else self.max_score,
            "above_one": json.loads(self.above_one.to_json(orient="records", double_precision=15)),
            "effects": json.loads(self.effects.to_json(orient="records", double_precision=15)),
        }


def audit_scores(
    scores: ScoresLike,
    *,
    thresholds: Iterable[float] = (0.1, 0.2, 0.3, 0.4, 0.5),
) -> Audit:
    """What the published protocol's flaws did to a table of scores.

    Three of them leave traces: the needle was at one place for all depths but the last, so that
    samples repeat; a needle that was not found in the prompt's tokens gave a sample of zeros, which
    was averaged in; repeats of the model were counted, so that scores exceed 1. Equal samples alone
    prove nothing: with few heads, or short answers that are always copied whole, they are common.
    A sweep counts as collapsed when neighbours are equal much more often than others, in runs of
    whatever lengths (`Repetition`).

    Args:
        scores: Scores of single samples, or a run, in the order in which they were made.
        thresholds: Where to look at the set of retrieval heads; a head at the threshold is in it.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The scores hold only one value for each head.

    Examples:
        >>> found = audit_scores(scores)
        >>> found.depth_collapsed, found.n_zero_samples, found.max_score
        (False, 0, 1.0)
    """
    scores = scores_of(scores)
    ascending = require_thresholds(thresholds)
    if scores.origin is not None and scores.origin.n_samples is None:
        raise ValueError(
            f"Expected scores of single samples; found one value for each head in "
            f"{scores.origin.path!r}. Take the file that has a list for each head."
        )
    values = scores.values
    duplicates = duplicate_runs(values)
    zero = _all_zero(values)
    seen = values[~values.isnan()]
    return Audit(
        origin=scores.origin,
        duplicates=duplicates,
        n_copies=_n_copies(duplicates.first_equal.tolist()),
        n_zero_samples=int(zero.sum()),
        repetition=repetition(duplicates, (values > 0).flatten(1).any(dim=1)),
        n_above_one=int((values > _ABOVE_ONE).sum()),
        max_score=float(seen.max()) if len(seen) else float("nan"),
        above_one=_heads_above_one(values),
        sparsity=measure_sparsity(scores, threshold=ascending[0]),
        effects=_effects(scores, duplicates, zero, ascending),
    )


def _all_zero(values: Float[Tensor, "sample layer head"]) -> Bool[Tensor, " sample"]:
    """Samples in which some head saw the answer and every one that did scores 0."""
    unseen = values.isnan().flatten(1)
    return ((values.flatten(1) == 0) | unseen).all(dim=1) & ~unseen.all(dim=1)


def _n_copies(names: Sequence[int]) -> int:
    """How often a sequence of more than one distinct name is repeated to give these; at most."""
    names = list(names)
    if len(set(names)) == 1:
        return 1
    for n_copies in range(len(names) // 2, 1, -1):
        length, rest = divmod(len(names), n_copies)
        if rest == 0 and names == names[:length] * n_copies:
            return n_copies
    return 1


def _heads_above_one(values: Float[Tensor, "sample layer head"]) -> pd.DataFrame:
    """Heads with a score above 1 on some sample."""
    counts = (values > _ABOVE_ONE).sum(dim=0)
    highest = values.nan_to_num(nan=-torch.inf).amax(dim=0)
    rows = [
        (la, he, Head(la, he).label, int(counts[la, he]), float(highest[la, he]))
        for la, he in counts.nonzero().tolist()
    ]
    table = pd.DataFrame(rows, columns=_ABOVE_ONE_COLUMNS)
    return table.sort_values("n_above_one", ascending=False, kind="stable", ignore_index=True)


def _effects(
    scores: RetrievalScores,
    duplicates: DuplicateRuns,
    zero: Bool[Tensor, " sample"],
    thresholds: Sequence[float],
) -> pd.DataFrame:
    """Sets of retrieval heads under each correction, compared with those as given."""
    new = duplicates.first_equal == torch.arange(duplicates.n_samples)
    cut = scores.values.where(~(scores.values > _ABOVE_ONE), 1.0)
    corrected = {
        "as given": scores.values,
        "each sample once": scores.values[new],
        "no all-zero samples": scores.values[~zero],
        "cut at 1": cut,
        "all three": cut[new & ~zero],
    }
    mean = scores.mean()
    # Each table's mean is taken once, not for every threshold.
    tables = {name: _table(values) for name, values in corrected.items()}
    rows = []
    for threshold in thresholds:
        given = scores.heads(threshold)
        for correction, table in tables.items():
            heads = [] if table is None else table.heads(threshold)
            row = {
                "threshold": threshold,
                "correction": correction,
                "n_samples": len(corrected[correction]),
                "largest_change": math.nan if table is None else _largest_change(table, mean),
                "n": len(heads),
            }
            rows.append(row | set_change(given, heads))
    return pd.DataFrame(rows)


def _table(values: Float[Tensor, "sample layer head"]) -> RetrievalScores | None:
    """Scores of some samples; None without a sample."""
    if not len(values):
        return None
    return RetrievalScores(values, "corrected", tuple(range(len(values))))


def _largest_change(table: RetrievalScores, mean: Float[Tensor, "layer head"]) -> float:
    """Largest change of a mean; NaN where no head has both."""
    change = (table.mean() - mean).abs().nan_to_num(nan=-1.0).max()
    return float(change) if change >= 0 else math.nan
