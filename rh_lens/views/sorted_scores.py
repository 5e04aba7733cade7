"""Scores from the best head to the worst, as a picture."""

from typing import TYPE_CHECKING

from rh_lens.analysis import ScoreIntervals
from rh_lens.views.drawing import LINES, new_figure
from rh_lens.views.head_cells import Scored, head_cells

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_sorted_scores(
    result: Scored, *, intervals: ScoreIntervals | None = None, threshold: float | None = None
) -> "Figure":
    """Picture of all scores, best first, with their interval and the threshold.

    Ranks are on a logarithmic axis, so that the few heads with high scores have room. Each rank's
    band is the interval of the head that has it: it says how far that head's score may move, not
    how far the curve may. Heads without a score are left out.

    Args:
        result: As for `plot_heat_map`; a `ScoreIntervals` brings its intervals.
        intervals: From `score_intervals`, of the same scores; None draws none.
        threshold: Score from which on a head counts as a retrieval head; None takes the run's own,
            0.1 without.

    Returns:
        A matplotlib figure.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: An argument is of another type.
        ValueError: The intervals are of a model of another shape.

    Examples:
        >>> plot_sorted_scores(score_intervals(result)).savefig("sorted.png")
    """
    cells = head_cells(result, intervals=intervals, threshold=threshold)
    known = ~cells.score.isnan()
    score, order = cells.score[known].sort(descending=True, stable=True)
    ranks = range(1, len(score) + 1)
    figure = new_figure(4.8, 3.2)
    axes = figure.subplots()
    if cells.level is not None:
        low, high = cells.low[known][order], cells.high[known][order]
        axes.fill_between(ranks, low, high, color=LINES[0], alpha=0.25, lw=0,
                          label=f"{100 * cells.level:g} % interval of each head")  # fmt: skip
    few = len(score) <= 200
    axes.plot(ranks, score, "o-" if few else "-", ms=4, color=LINES[0], label=f"{cells.name} score")
    n = int((score >= cells.threshold).sum())
    axes.axhline(cells.threshold, color="#555555", ls=":", lw=1.2)
    told = f"{cells.threshold:g}: {n} of {len(score)} heads reach it"
    axes.text(0.99, cells.threshold, told, ha="right", va="bottom", size=9,
              transform=axes.get_yaxis_transform())  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda rank, _: f"{rank:,.0f}")
    axes.set_xlabel("rank of the head")
    axes.set_ylabel("score")
    axes.set_ylim(min(-0.03, float(score.min())), max(1.03, 1.03 * float(score.max())))
    axes.legend(frameon=False)
    return figure
