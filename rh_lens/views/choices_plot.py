"""Scores of heads under one choice after the other, as a picture."""

from typing import TYPE_CHECKING

from rh_lens.checks import require_type
from rh_lens.doubts import Choices
from rh_lens.views.drawing import LINES, MARKERS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_HEADS = len(LINES)


def plot_choices(choices: Choices) -> "Figure":
    """Picture of how far scores move with the choices: a row for each option.

    Marks are the usual retrieval heads, seven at most; the grey bar reaches to the highest of all
    other heads, and the upright stroke is the option's threshold.

    Args:
        choices: From `score_choices`.

    Returns:
        A matplotlib figure.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: They are no choices.

    Examples:
        >>> rows, recalls = record_trials(model, trials), [trial.recall for trial in trials]
        >>> plot_choices(score_choices(rows, recalls)).savefig("choices.png")
    """
    require_type("choices", choices, Choices, remedy="Make them with score_choices.")
    usual = choices.usual.heads()
    drawn = usual[:_MOST_HEADS]
    figure = new_figure(6.4, 1.2 + 0.28 * len(choices.options))
    axes = figure.subplots()
    for row, option in enumerate(choices.options):
        mean = option.scores.mean().clone()
        marks = [float(mean[head.layer, head.head]) for head in drawn]
        for head in usual:
            mean[head.layer, head.head] = 0.0
        highest = float(mean.nan_to_num(0.0).max())
        axes.barh(row, highest, height=0.5, color="0.8", label="other heads" if not row else None)
        axes.plot([option.threshold] * 2, [row - 0.4, row + 0.4], color="black", linewidth=1.2)
        for place, (head, score) in enumerate(zip(drawn, marks, strict=True)):
            label = head.label if not row else None
            axes.plot(score, row, linestyle="none", marker=MARKERS[place], color=LINES[place],
                      markersize=5, label=label)  # fmt: skip
    axes.set_yticks(
        range(len(choices.options)), [f"{o.choice} {o.name}".strip() for o in choices.options]
    )
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("score")
    figure.legend(loc="outside right upper", frameon=False)
    return figure
