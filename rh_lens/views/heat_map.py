"""Heat map of scores, layer by head: one for files, one that answers the mouse."""

from typing import TYPE_CHECKING, Any

from rh_lens.analysis import ScoreIntervals
from rh_lens.heads import Head
from rh_lens.representation.heat_map_svg import tick_places
from rh_lens.views.drawing import OUTLINE, SCORE_COLOURS, cell_size, new_figure, plotly_objects
from rh_lens.views.head_cells import HeadCells, Scored, head_cells

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GREY = "#bdbdbd"
_LINE = "#8a8a8a"
# Points of a cell from which on a second, white frame leaves its colour to be seen.
_ROOM_FOR_WHITE = 12


def plot_heat_map(
    result: Scored, *, intervals: ScoreIntervals | None = None, threshold: float | None = None
) -> "Figure":
    """Picture of every head's score for a file: layers by heads, layer 0 at the top.

    Layer 0 is at the top as in TransformerLens's own pictures (plotly's `imshow`), in all heat maps
    here. The colour scale goes from 0 to 1 for every model, light to dark; lower and higher scores
    take the colour of its ends, and an arrow on the scale says so. Retrieval heads are outlined,
    heads without a score are grey and crossed out, and lines part the key-value groups.

    Args:
        result: From `detect_retrieval_heads`, `load_run`, `detect_official`, `read_head_scores` or
            `score_intervals`.
        intervals: Not drawn here; `explore_heat_map` tells them.
        threshold: Score from which on a head is outlined; None takes the run's own, 0.1 without.

    Returns:
        A matplotlib figure; `savefig` writes it.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: An argument is of another type.
        ValueError: The intervals are of a model of another shape, or the threshold is not finite.

    Examples:
        >>> plot_heat_map(result).savefig("heat_map.png")
    """
    cells = head_cells(result, intervals=intervals, threshold=threshold)
    n_layers, n_heads = cells.score.shape
    width, height = cell_size(n_layers, n_heads, wide=3.6, most=0.42, tall=4.8, least=0.35)
    figure = new_figure(max(width * n_heads, 3.2) + 1.2, height * n_layers + 1.2)
    axes = figure.subplots()
    axes.set_facecolor(_GREY)
    image = axes.imshow(cells.score, cmap=SCORE_COLOURS, vmin=0, vmax=1, aspect=height / width,
                        interpolation="nearest")  # fmt: skip
    _mark(axes, cells, 72 * min(width, height))
    axes.set_xticks(tick_places(n_heads, max(1, round(n_heads * width / 0.22))))
    axes.set_yticks(tick_places(n_layers, max(1, round(n_layers * height / 0.2))))
    axes.set_xlabel("head" + _groups(cells))
    axes.set_ylabel("layer")
    figure.suptitle(_title(cells, "\n"), x=0.02, ha="left", size=9)
    beside = 0.12 / (width * n_heads)
    scale = axes.inset_axes((1 + beside, 0, beside, 1))
    ticks = [0, 0.5, 1] if height * n_layers > 1 else [0, 1]
    figure.colorbar(image, cax=scale, extend=_extend(cells), ticks=ticks)
    return figure


def explore_heat_map(
    result: Scored, *, intervals: ScoreIntervals | None = None, threshold: float | None = None
) -> Any:
    """The picture of `plot_heat_map` for a session: each head tells what is known of it.

    Pointing at a head shows its label, score, interval, activation frequency and key-value group.

    Args:
        result: As for `plot_heat_map`.
        intervals: From `score_intervals`, of the same scores; None tells none.
        threshold: As for `plot_heat_map`.

    Returns:
        A plotly figure. `write_html(path, include_plotlyjs=True)` writes a page that needs no
        network (4.8 MB).

    Raises:
        ImportError: plotly is not installed.
        TypeError: An argument is of another type.
        ValueError: The intervals are of a model of another shape.

    Examples:
        >>> explore_heat_map(result).write_html("heat_map.html", include_plotlyjs=True)
    """
    cells = head_cells(result, intervals=intervals, threshold=threshold)
    graph = plotly_objects()
    n_layers, n_heads = cells.score.shape
    width, height = cell_size(n_layers, n_heads, wide=560.0, most=40.0, tall=760.0, least=40.0)
    figure = graph.Figure(_traces(graph, cells, width, height))
    figure.update_layout(
        shapes=[*_group_shapes(cells), *_outline_shapes(cells, min(width, height))],
        title={"text": _title(cells, "<br>"), "font": {"size": 13}},
        width=max(width * n_heads, 300) + 150,
        height=height * n_layers + 130,
        margin={"l": 60, "r": 90, "t": 70, "b": 60},
        plot_bgcolor=_GREY,
    )
    frame = {"showgrid": False, "zeroline": False, "constrain": "domain"}
    figure.update_xaxes(title="head" + _groups(cells), tickvals=list(tick_places(n_heads)),
                        range=[-0.5, n_heads - 0.5], **frame)  # fmt: skip
    figure.update_yaxes(title="layer", tickvals=list(tick_places(n_layers)), scaleanchor="x",
                        scaleratio=height / width, range=[n_layers - 0.5, -0.5],
                        **frame)  # fmt: skip
    return figure


def _title(cells: HeadCells, line_break: str) -> str:
    crossed = len(cells.without_score())
    return cells.caption() + f"{line_break}crossed out: {crossed} without a score" * (crossed > 0)


def _groups(cells: HeadCells) -> str:
    """What the lines between columns are."""
    if cells.group_size == 1:
        return ""
    return f" (lines: KV groups of {cells.group_size})"


def _extend(cells: HeadCells) -> str:
    """At which ends of the scale scores go on."""
    known = cells.score[~cells.score.isnan()]
    low, high = bool((known < 0).any()), bool((known > 1 + 1e-9).any())
    return {(True, True): "both", (True, False): "min", (False, True): "max"}.get(
        (low, high), "neither"
    )


def _mark(axes: "Axes", cells: HeadCells, points: float) -> None:
    """Outlines, crosses and lines between groups, as wide as cells of so many points allow."""
    from matplotlib.patches import Rectangle

    n_layers, n_heads = cells.score.shape
    parted = range(cells.group_size, n_heads, cells.group_size) if cells.group_size > 1 else ()
    axes.vlines([head - 0.5 for head in parted], -0.5, n_layers - 0.5, color=_LINE, lw=0.6)
    width = min(2.2, max(0.8, points / 9))
    for head in cells.retrieval_heads():
        place = (head.head - 0.5, head.layer - 0.5)
        axes.add_patch(Rectangle(place, 1, 1, fill=False, ec=OUTLINE, lw=width, zorder=3))
        if points >= _ROOM_FOR_WHITE:
            inside = 1.1 * width / points
            place = (place[0] + inside, place[1] + inside)
            axes.add_patch(Rectangle(place, 1 - 2 * inside, 1 - 2 * inside, fill=False, ec="white",
                                     lw=width / 2, zorder=3))  # fmt: skip
    crossed = cells.without_score()
    axes.scatter([head.head for head in crossed], [head.layer for head in crossed], marker="x",
                 s=(0.5 * points) ** 2, color="#555555", lw=max(0.5, points / 30))  # fmt: skip


def _traces(graph: Any, cells: HeadCells, width: float, height: float) -> list[Any]:
    """The scores with what each head tells, and crosses where there is none."""
    n_layers, n_heads = cells.score.shape
    text = [
        ["<br>".join(cells.facts(head)) for head in row]
        for row in _rows_of_heads(n_layers, n_heads)
    ]
    image = graph.Heatmap(
        z=cells.score.numpy(),
        zmin=0,
        zmax=1,
        colorscale=SCORE_COLOURS,
        text=text,
        hovertemplate="%{text}<extra></extra>",
        colorbar={
            "title": "score",
            "tickvals": [0, 0.5, 1],
            "thickness": 14,
            "lenmode": "pixels",
            "len": max(120, height * n_layers),
        },
    )
    crossed = cells.without_score()
    crosses = graph.Scatter(
        x=[head.head for head in crossed],
        y=[head.layer for head in crossed],
        mode="markers",
        marker={
            "symbol": "x-thin",
            "size": min(width, height) / 2,
            "line": {"width": 1, "color": "#555555"},
        },
        hoverinfo="skip",
        showlegend=False,
    )
    return [image, crosses]


def _rows_of_heads(n_layers: int, n_heads: int) -> list[list[Head]]:
    return [[Head(layer, head) for head in range(n_heads)] for layer in range(n_layers)]


def _outline_shapes(cells: HeadCells, side: float) -> list[dict[str, Any]]:
    """A blue frame, and a white one inside it, around each retrieval head."""
    width = min(3.0, max(1.0, side / 9))
    shapes = []
    frames = [(OUTLINE, 0.0, width), ("white", 1.1 * width / side, width / 2)]
    for colour, inside, line in frames[: 2 if side >= _ROOM_FOR_WHITE else 1]:
        shapes += [
            {
                "type": "rect",
                "x0": head.head - 0.5 + inside,
                "x1": head.head + 0.5 - inside,
                "y0": head.layer - 0.5 + inside,
                "y1": head.layer + 0.5 - inside,
                "line": {"color": colour, "width": line},
            }
            for head in cells.retrieval_heads()
        ]
    return shapes


def _group_shapes(cells: HeadCells) -> list[dict[str, Any]]:
    n_layers, n_heads = cells.score.shape
    if cells.group_size == 1:
        return []
    return [
        {
            "type": "line",
            "x0": head - 0.5,
            "x1": head - 0.5,
            "y0": -0.5,
            "y1": n_layers - 0.5,
            "line": {"color": _LINE, "width": 1},
        }
        for head in range(cells.group_size, n_heads, cells.group_size)
    ]
