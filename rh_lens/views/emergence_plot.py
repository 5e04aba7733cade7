"""When retrieval appears: scores of chosen heads over a model's training."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rh_lens.analysis import Emergence
from rh_lens.checks import require_choice, require_type, require_whole_number, shown
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.representation import short_repr
from rh_lens.views.drawing import DASHES, LINES, MARKERS, new_figure, plotly_objects

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The last look is the recall's.
_MOST_HEADS = len(LINES) - 1
_PLOTLY_DASHES = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot")
_PLOTLY_MARKERS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
_VALUES = {"score": "position score", "forced": "teacher-forced copy"}


def plot_emergence(
    emergence: Emergence, *, heads: HeadsLike | None = None, k: int = 5, value: str = "score"
) -> "Figure":
    """Picture of heads over a training: their scores with the recall, and induction beside it.

    The axis is of tokens, logarithmic; of steps where tokens are not known, and of moments at equal
    distances where neither is. What was before the first step stands at its left end, as 0. A score
    is missing where no answer was right.

    Args:
        emergence: From `score_revisions` or `rh_lens.demo.snapshots`.
        heads: Up to six heads to draw; None takes k.
        k: Heads with the highest score at any moment.
        value: "score" (in right answers), or "forced" (fed the answer; always there).

    Returns:
        A matplotlib figure; `savefig` writes it.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: An argument is of another type.
        ValueError: There is no such head or value, or there are more than six heads.

    Examples:
        >>> from rh_lens.runs import score_moment
        >>> moment = score_moment(model, prompts[:2], name="500", step=500)
        >>> plot_emergence(Emergence((moment,))).savefig("emergence.png")
    """
    drawn = _chosen(emergence, heads, k, value)
    across = _across(emergence)
    figure = new_figure(7.4, 3.2)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, name in ((left, value), (right, "induction")):
        values = emergence.values(name)
        for index, head in enumerate(drawn):
            axes.plot(across.places, values[:, head.layer, head.head].numpy(), label=head.label,
                      color=LINES[index], ls=DASHES[index], marker=MARKERS[index],
                      ms=4)  # fmt: skip
        axes.set(xlabel=across.label, title=_VALUES.get(name, "prefix matching (induction)"))
        axes.title.set_size(9.5)
        if across.is_log:
            axes.set_xscale("log")
        if across.ticks:
            axes.set_xticks(*zip(*across.ticks, strict=True), rotation=30)
            axes.minorticks_off()
        axes.grid(axis="y", color="#e0e0e0", lw=0.6)
    recall = [moment.recall for moment in emergence.moments]
    left.plot(across.places, recall, label="recall", color=LINES[-1], lw=2.2, marker=MARKERS[-1])
    left.set(ylim=(-0.03, 1.03), ylabel="score, recall")
    figure.legend(*left.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return figure


def explore_emergence(
    emergence: Emergence, *, heads: HeadsLike | None = None, k: int = 5, value: str = "score"
) -> Any:
    """The picture of `plot_emergence` for a session: each point tells its moment and numbers.

    Args:
        emergence: From `score_revisions` or `rh_lens.demo.snapshots`.
        heads: Up to six heads to draw; None takes k.
        k: Heads with the highest score at any moment.
        value: "score" or "forced".

    Returns:
        A plotly figure. `write_html(path, include_plotlyjs=True)` writes a page that needs no
        network.

    Raises:
        ImportError: plotly is not installed.
        TypeError: An argument is of another type.
        ValueError: There is no such head or value, or there are more than six heads.

    Examples:
        >>> from rh_lens.runs import score_moment
        >>> moment = score_moment(model, prompts[:2], name="500", step=500)
        >>> figure = explore_emergence(Emergence((moment,)), k=2)
        >>> [line.name for line in figure.data]
        ['L2H2', 'L2H3', 'recall', 'L2H2', 'L2H3']
    """
    drawn = _chosen(emergence, heads, k, value)
    across = _across(emergence)
    graph = plotly_objects()
    names = [moment.name for moment in emergence.moments]
    figure = graph.Figure()

    def line(label: str, values: list[float], look: int, axis: str, of: str) -> None:
        figure.add_scatter(
            x=across.places, y=values, name=label, text=names, mode="lines+markers",
            legendgroup=label, showlegend=axis == "x", xaxis=axis,
            line={"color": LINES[look], "dash": (*_PLOTLY_DASHES, "solid")[look]},
            marker={"symbol": (*_PLOTLY_MARKERS, "x")[look]},
            hovertemplate=f"{label} · %{{text}} · {of} %{{y:.3f}}<extra></extra>",
        )  # fmt: skip

    for axis, name in (("x", value), ("x2", "induction")):
        found = emergence.values(name)
        for index, head in enumerate(drawn):
            values = found[:, head.layer, head.head].tolist()
            line(head.label, values, index, axis, _VALUES.get(name, name))
        if axis == "x":
            recall = [moment.recall for moment in emergence.moments]
            line("recall", recall, len(LINES) - 1, axis, "mean")
    figure.update_layout(
        width=900,
        height=400,
        yaxis={"title": "score, recall", "range": [-0.03, 1.03]},
        xaxis=_plotly_axis(across, [0.0, 0.47], f"{across.label}: {_VALUES[value]}"),
        xaxis2=_plotly_axis(across, [0.53, 1.0], f"{across.label}: prefix matching (induction)"),
    )
    return figure


def _plotly_axis(across: "_Across", domain: list[float], title: str) -> dict[str, Any]:
    axis: dict[str, Any] = {"domain": domain, "title": title, "anchor": "y"}
    axis["type"] = "log" if across.is_log else "linear"
    if across.ticks:
        places, texts = zip(*across.ticks, strict=True)
        axis |= {"tickvals": list(places), "ticktext": list(texts)}
    return axis


@dataclass(frozen=True)
class _Across:
    """Where the moments stand.

    Args:
        places: Of each moment.
        label: Of the axis.
        is_log: Whether it is logarithmic.
        ticks: Places with their texts; none: as the axis has them.
    """

    places: list[float]
    label: str
    is_log: bool
    ticks: tuple[tuple[float, str], ...]

    __repr__ = short_repr


def _across(emergence: Emergence) -> _Across:
    """Moments by tokens or steps, where all are known and one is above 0; else by their order."""
    for name, label in (("tokens", "tokens trained on"), ("step", "training steps")):
        values = [getattr(moment, name) for moment in emergence.moments]
        above = sorted(value for value in values if value > 0)
        if not above or not all(value >= 0 for value in values):
            continue
        first = above[0] / 3
        places = [value or first for value in values]
        if 0 not in values:
            return _Across(places, label, True, ())
        # A few of the moments: as many as fit, the first and the last among them.
        chosen = above[:: max(1, -(-len(above) // 5))]
        ticks = [(first, "0"), *((value, _short(value)) for value in chosen)]
        return _Across(places, label, True, tuple(ticks))
    names = [moment.name for moment in emergence.moments]
    cut = [name if len(name) <= 14 else f"{name[:13]}…" for name in names]
    order = [float(place) for place in range(len(names))]
    return _Across(order, "moment", False, tuple(zip(order, cut, strict=True)))


def _short(value: float) -> str:
    """A number of tokens or steps in a few characters, such as 1.5M."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def _chosen(emergence: Emergence, heads: HeadsLike | None, k: int, value: str) -> list[Head]:
    """The heads asked for, if the model has them and each gets a look of its own."""
    remedy = "Take it from score_revisions or rh_lens.demo.snapshots."
    require_type("emergence", emergence, Emergence, remedy=remedy)
    require_whole_number("k", k, at_least=1, at_most=_MOST_HEADS)
    require_choice("value", value, tuple(_VALUES))
    if heads is None:
        return emergence.top(k)
    drawn = list(as_heads(heads))
    n_layers, n_heads = emergence.moments[0].score.shape
    absent = [one.label for one in drawn if one.layer >= n_layers or one.head >= n_heads]
    if absent or not 1 <= len(drawn) <= _MOST_HEADS:
        raise ValueError(
            f"Expected 1 to {_MOST_HEADS} heads of {n_layers} layers of {n_heads}; found "
            f"{len(drawn)}, of which not there: {shown(absent)}. Choose fewer, or others."
        )
    return drawn
