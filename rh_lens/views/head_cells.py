"""One row of facts for each head, which every picture of heads draws from."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.analysis import ScoreIntervals
from rh_lens.checks import require_number, require_type, shown
from rh_lens.detection import OfficialResult, RetrievalResult, RetrievalScores
from rh_lens.heads import Head
from rh_lens.interventions.editing import require_heads
from rh_lens.representation import short_repr
from rh_lens.runs import StoredRun

Scored = RetrievalResult | StoredRun | OfficialResult | RetrievalScores | ScoreIntervals
"""What has a score for each head."""


@dataclass(frozen=True, eq=False)
class HeadCells:
    """What a picture says of each head.

    Args:
        score: Retrieval score; NaN without one.
        activation: Share of trials in which the head copies; NaN where that is not known.
        n_trials: Trials in the score.
        low: Lower end of the score's interval; NaN without one.
        high: Upper end.
        level: Coverage of the intervals; None without any.
        name: Definition of the score, such as "position".
        threshold: Score from which on a head counts as a retrieval head.
        group_size: Query heads that share a key-value head; 1 where that is not known.
    """

    score: Float[Tensor, "layer head"]
    activation: Float[Tensor, "layer head"]
    n_trials: Int[Tensor, "layer head"]
    low: Float[Tensor, "layer head"]
    high: Float[Tensor, "layer head"]
    level: float | None
    name: str
    threshold: float
    group_size: int

    __repr__ = short_repr

    def retrieval_heads(self) -> list[Head]:
        """Heads that reach the threshold, in order."""
        return [Head(*place) for place in (self.score >= self.threshold).nonzero().tolist()]

    def without_score(self) -> list[Head]:
        """Heads of which nothing is known, in order."""
        return [Head(*place) for place in self.score.isnan().nonzero().tolist()]

    def facts(self, head: Head) -> list[str]:
        """What is known of a head, a few words each: its label, score, interval and so on.

        Raises:
            TypeError: It is no head.
            ValueError: The model has no such head.
        """
        require_type("head", head, Head, remedy="Make one with Head(layer, head).")
        n_layers, n_heads = self.score.shape
        require_heads([head], dict.fromkeys(range(n_layers), n_heads))
        place = (head.layer, head.head)
        group = [f"KV group {head.head // self.group_size}"] * (self.group_size > 1)
        if self.score[place].isnan():
            return [head.label, "no score: it can't see the answer", *group]
        facts = [head.label, f"{self.name} score {self.score[place]:.3f}"]
        if self.level is not None and not self.low[place].isnan():
            ends = f"[{self.low[place]:.3f}, {self.high[place]:.3f}]"
            facts.append(f"{100 * self.level:g} % interval {ends}")
        if not self.activation[place].isnan():
            n = int(self.n_trials[place])
            facts.append(f"active in {100 * self.activation[place]:.0f} % of {n} trials")
        return facts + group

    def caption(self) -> str:
        """What is shown, in a line."""
        n = len(self.retrieval_heads())
        return f"{self.name} score; outlined: {n} of {self.score.numel()} heads " + (
            f"with {self.threshold:g} or more"
        )


def head_cells(
    result: Scored, *, intervals: ScoreIntervals | None = None, threshold: float | None = None
) -> HeadCells:
    """Score, activation and interval of every head of a result.

    Args:
        result: From `detect_retrieval_heads`, `load_run`, `detect_official`, `read_head_scores` or
            `score_intervals`.
        intervals: Of the same scores; None shows none (or the result's, if it is one).
        threshold: Score from which on a head counts as a retrieval head; None takes the run's own,
            0.1 without one.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The intervals are of a model of another shape, or the threshold is not finite.

    Examples:
        >>> head_cells(result).score[2].round(decimals=2)
        tensor([0.0000, 0.0600, 1.0000, 1.0000, 1.0000, 0.9600, 0.0200, 0.0000],
               dtype=torch.float64)
    """
    if isinstance(result, ScoreIntervals):
        intervals = intervals or result
    scores, run = _scores_and_run(result)
    if threshold is None:
        # A run and intervals say which threshold is theirs; scores alone have none.
        threshold = getattr(result if run is None else run, "threshold", 0.1)
    require_number("threshold", threshold)
    low, high, level = _interval(scores.mean(), intervals)
    is_own = run is not None and run.scores is scores
    table = (run if run is not None and is_own else scores).to_dataframe()
    table = table.sort_values(["layer", "head"])
    shape = scores.values.shape[1:]
    return HeadCells(
        score=scores.mean(),
        activation=torch.tensor(table["activation"].to_numpy(copy=True)).reshape(shape),
        n_trials=torch.tensor(table["n_trials"].to_numpy(copy=True)).reshape(shape),
        low=low,
        high=high,
        level=level,
        name=scores.name,
        threshold=float(threshold),
        group_size=1 if run is None else run.n_heads // run.n_kv_heads,
    )


def _scores_and_run(result: Scored) -> tuple[RetrievalScores, RetrievalResult | None]:
    """The scores of a result, and the detection run behind them where there is one."""
    if isinstance(result, StoredRun):
        result = result.result()
    if isinstance(result, OfficialResult):
        return result.scores, result.detection
    if isinstance(result, RetrievalResult):
        return result.scores, result
    if isinstance(result, ScoreIntervals):
        return result.scores, None
    remedy = "Take it from detect_retrieval_heads, load_run, read_head_scores or score_intervals."
    known = (RetrievalResult, OfficialResult, RetrievalScores, ScoreIntervals)
    require_type("result", result, known, remedy=remedy)
    return result, None


def _interval(
    score: Tensor, intervals: ScoreIntervals | None
) -> tuple[Tensor, Tensor, float | None]:
    """Ends of the intervals, NaN without any."""
    if intervals is None:
        unknown = torch.full_like(score, torch.nan)
        return unknown, unknown, None
    require_type("intervals", intervals, ScoreIntervals, remedy="Make them with score_intervals.")
    if intervals.low.shape != score.shape:
        raise ValueError(
            f"Expected intervals of {list(score.shape)} layers and heads; found "
            f"{shown(list(intervals.low.shape))}. Make them from the same scores."
        )
    return intervals.low, intervals.high, intervals.level
