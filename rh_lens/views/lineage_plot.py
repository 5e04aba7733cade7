"""Do models share their heads: two as a scatter, many as a matrix."""

from collections.abc import Mapping
from itertools import combinations
from math import dist, isnan
from typing import TYPE_CHECKING

import numpy as np

from rh_lens.analysis import LineageComparison
from rh_lens.checks import require_choice, require_number, require_type, shown
from rh_lens.detection import RetrievalScores, require_scores
from rh_lens.views.drawing import LINES, RECALL_COLOURS, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NAMED = 5
# Points so near to each other share a label.
_NEAR = 0.12
_STATISTICS = ("pearson", "spearman", "jaccard", "rbo")


def plot_score_pair(
    results: Mapping[str, RetrievalScores],
    *,
    comparison: LineageComparison | None = None,
    threshold: float = 0.1,
) -> "Figure":
    """Picture of two models' scores against each other, a point for each head.

    On the diagonal a head scores the same in both. Points are filled where a head is a retrieval
    head of both models, half filled of one, and empty of none; the best of either are named.

    Args:
        results: Scores of two models of equal shape, by name.
        comparison: From `compare_scores`, of models with these names; its correlation is written
            above, beside the range that permuted heads give. None writes nothing.
        threshold: Score from which on a head counts as a retrieval head.

    Returns:
        A matplotlib figure.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: An argument is of another type.
        ValueError: There are not two models, their shapes differ, or the comparison has others.

    Examples:
        >>> plot_score_pair({"one": scores, "other": scores}).savefig("pair.png")
    """
    require_type("results", results, Mapping, remedy='Pass {"base": scores, "tuned": others}.')
    require_number("threshold", threshold)
    for name, scores in results.items():
        require_scores(scores, f"results[{name!r}]")
    shapes = [list(scores.values.shape[1:]) for scores in results.values()]
    if len(shapes) != 2 or shapes[0] != shapes[1]:
        found = shown(dict(zip(results, shapes, strict=True)))
        raise ValueError(
            f"Expected two models of equal shape; found {found}. Compare models "
            "of different shapes by profiles: compare_scores."
        )
    (a, b), (x, y) = results, [scores.mean() for scores in results.values()]
    title = "" if comparison is None else _correlation(comparison, a, b)
    figure = new_figure(4.2, 4.2)
    axes = figure.subplots()
    ends = [min(0.0, *(float(v.nan_to_num().min()) for v in (x, y))),
            max(1.0, *(float(v.nan_to_num().max()) for v in (x, y)))]  # fmt: skip
    axes.plot(ends, ends, color="#999999", lw=0.8, zorder=0)
    for line in (axes.axhline, axes.axvline):
        line(threshold, color="#999999", ls=":", lw=0.8, zorder=0)
    n_in = (x >= threshold).int() + (y >= threshold).int()
    kinds = (("neither", "none"), ("one", "left"), ("both", "full"))
    for n, (name, fill) in enumerate(kinds):
        chosen = n_in == n
        axes.plot(x[chosen], y[chosen], ls="", marker="o", ms=5, fillstyle=fill, color=LINES[0],
                  alpha=0.8, label=f"retrieval head of {name}: {int(chosen.sum())}")  # fmt: skip
    _name_best(axes, results)
    axes.set_xlabel(f"score, {_plain(a)}")
    axes.set_ylabel(f"score, {_plain(b)}")
    axes.set_aspect("equal")
    axes.set_title(title, loc="left", size=9)
    figure.legend(loc="outside lower left", frameon=False, fontsize=9)
    return figure


def plot_similarities(comparison: LineageComparison, statistic: str = "pearson") -> "Figure":
    """Picture of how alike every two models are, beside what chance gives.

    Above the diagonal the statistic, as colour (0 dark, 1 bright) and as a number; below it the
    range of the middle 95 % (or the comparison's level) when heads are permuted: a value inside its
    range is what strangers have. Models of different shapes were compared by profiles only.

    Args:
        comparison: From `compare_scores`.
        statistic: "pearson", "spearman", "jaccard" or "rbo".

    Returns:
        A matplotlib figure.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: An argument is of another type.
        ValueError: The statistic is unknown.

    Examples:
        >>> found = compare_scores({"one": scores, "other": scores}, n_permutations=100)
        >>> plot_similarities(found).savefig("similarities.png")
    """
    remedy = "Make it with compare_scores."
    require_type("comparison", comparison, LineageComparison, remedy=remedy)
    require_choice("statistic", statistic, _STATISTICS)
    names = list(dict.fromkeys(name for pair in comparison.pairs for name in (pair.a, pair.b)))
    n = len(names)
    values = np.full((n, n), np.nan)
    side = max(0.75, min(1.1, 4.4 / n))
    figure = new_figure(side * n + 2.0, side * n + 1.1)
    axes = figure.subplots()
    for (row, a), (column, b) in combinations(enumerate(names), 2):
        pair = comparison.pair(a, b)
        if not pair.similarities:
            for place in ((column, row), (row, column)):
                axes.text(*place, "profiles\nonly", ha="center", va="center", size=8)
            continue
        found = pair[statistic]
        values[row, column] = found.value
        axes.text(column, row, f"{found.value:.2f}", ha="center", va="center",
                  color="white" if found.value < 0.5 else "black")  # fmt: skip
        axes.text(row, column, f"{found.null[0]:.2f}\nto {found.null[1]:.2f}", ha="center",
                  va="center", size=8)  # fmt: skip
    image = axes.imshow(values, cmap=RECALL_COLOURS, vmin=0, vmax=1)
    axes.set_xticks(range(n), [_plain(name) for name in names], rotation=30, ha="right")
    axes.set_yticks(range(n), [_plain(name) for name in names])
    beside = 0.12 / (side * n)
    figure.colorbar(image, cax=axes.inset_axes((1 + beside, 0, beside, 1)), ticks=[0, 0.5, 1])
    percent = f"{100 * comparison.level:g} %"
    title = f"{statistic} by {comparison.unit}\nbelow the diagonal: {percent} of permutations"
    figure.suptitle(title, x=0.02, ha="left", size=9)
    return figure


def _correlation(comparison: LineageComparison, a: str, b: str) -> str:
    """Pearson's r of two models beside chance."""
    remedy = "Make it with compare_scores."
    require_type("comparison", comparison, LineageComparison, remedy=remedy)
    found = comparison.pair(a, b)["pearson"]
    low, high = found.null
    chance = f"{100 * comparison.level:g} % of permutations: {low:.2f} to {high:.2f}"
    return f"Pearson {found.value:.2f}; {chance}"


def _name_best(axes: "Axes", results: Mapping[str, RetrievalScores]) -> None:
    """Labels of the best heads of either model; neighbours share one."""
    x, y = (scores.mean() for scores in results.values())
    best = dict.fromkeys(head for scores in results.values() for head in scores.top(_NAMED))
    near: dict[tuple[float, float], list[str]] = {}
    for head in best:
        place = (float(x[head.layer, head.head]), float(y[head.layer, head.head]))
        if isnan(place[0]) or isnan(place[1]) or max(place) <= 0:
            continue
        names = next((n for p, n in near.items() if dist(p, place) < _NEAR), None)
        if names is None:
            near[place] = [head.label]
        else:
            names.append(head.label)
    for place, names in near.items():
        is_right = place[0] > 0.6
        more = [f"and {len(names) - 4} more"] * (len(names) > 4)
        axes.annotate("\n".join([*names[:4], *more]), place, size=8,
                      va="top" if place[1] > 0.6 else "bottom",
                      xytext=(-12 if is_right else 8, 0), textcoords="offset points",
                      ha="right" if is_right else "left")  # fmt: skip


def _plain(name: str) -> str:
    """A name that matplotlib writes as it is: a dollar sign would begin a formula."""
    return name.replace("$", r"\$")
