"""Whether scores are those of the full grid: the same heads, and as good as the same numbers."""

from dataclasses import dataclass

import torch

from rh_lens.checks import require_number, require_type
from rh_lens.detection import RetrievalScores

SAME_CORRELATION = 0.999
"""Pearson's correlation with the full grid's scores from which on they are the same finding."""


@dataclass(frozen=True)
class Agreement:
    """Scores beside those of a full grid.

    Args:
        correlation: Pearson's, of all heads' scores, a head without one taken as 0; None where
            there are no scores, or all are equal.
        n_heads: Heads at or above the threshold.
        n_shared: Those of them that the full grid has too.
        n_full: Heads of the full grid.
    """

    correlation: float | None
    n_heads: int
    n_shared: int
    n_full: int

    @property
    def same(self) -> bool:
        """Whether the finding is the full grid's: its heads, and a correlation of 0.999 or more."""
        return (
            self.correlation is not None
            and self.correlation >= SAME_CORRELATION
            and self.n_heads == self.n_shared == self.n_full
        )

    @property
    def heads(self) -> str:
        """The heads in words, such as "4 of 4, 1 other"."""
        others = self.n_heads - self.n_shared
        return f"{self.n_shared} of {self.n_full}" + (f", {others} other" if others else "")


def agreement(
    full: RetrievalScores, found: RetrievalScores | None, *, threshold: float = 0.1
) -> Agreement:
    """How scores agree with those of a full grid of the same model.

    Args:
        full: Scores of the full grid.
        found: Scores of a cheaper way; None where it accepted no prompt.
        threshold: Score from which on a head counts as a retrieval head.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The two are of models of different shapes, or the threshold is not finite.

    Examples:
        >>> agreement(result.scores, result.scores).heads
        '4 of 4'
    """
    require_type("full", full, RetrievalScores, remedy="Take result.scores.")
    require_number("threshold", threshold)
    heads = set(full.heads(threshold))
    if found is None:
        return Agreement(None, 0, 0, len(heads))
    require_type("found", found, RetrievalScores, remedy="Take result.scores.")
    means = [one.mean().nan_to_num() for one in (full, found)]
    if means[0].shape != means[1].shape:
        raise ValueError(
            f"Expected found to be of as many layers and heads as full, {tuple(means[0].shape)}; "
            f"found {tuple(means[1].shape)}. Pass scores of one model."
        )
    correlation = torch.corrcoef(torch.stack(means).flatten(start_dim=1))[0, 1]
    own = set(found.heads(threshold))
    return Agreement(
        None if correlation.isnan() else float(correlation),
        len(own),
        len(own & heads),
        len(heads),
    )
