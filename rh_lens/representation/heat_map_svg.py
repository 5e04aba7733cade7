"""Scores of all heads as an inline picture, for notebooks and pages: no script, no package."""

from collections.abc import Collection, Sequence
from html import escape
from math import isnan

SCALE = (
    "#fcfdbf", "#fec488", "#fb8861", "#e75263", "#b63679", "#812581", "#51127c", "#1d1147",
    "#000004",
)  # fmt: skip
"""Colours of 0, 1/8, ... 1, from light to dark: nine of matplotlib's magma, backwards.

Steps of equal size look equally large, in colour, in greyscale and to the colour-blind.
"""

_WIDTH = 520
_LEFT = 34
_BELOW = 32


def heat_map_svg(
    scores: Sequence[Sequence[float]],
    *,
    outlined: Collection[tuple[int, int]] = (),
    group_size: int = 1,
    caption: str = "",
) -> str:
    """Layers by heads as SVG, layer 0 at the top, from light (0 or less) to dark (1 or more).

    Heads of 0 are left to the background, so that a large model stays small; a head without a score
    (NaN) is a cross. Every other cell tells its label and score when pointed at.

    Args:
        scores: A row of scores for each layer.
        outlined: Places of the retrieval heads.
        group_size: Query heads that share a key-value head; thin lines part the groups.
        caption: What is shown, for the eye and for screen readers; escaped.

    Returns:
        One `<figure>`, which takes the colour of the text around it.

    Examples:
        >>> rows = [[0.0, 0.4], [1.0, float("nan")]]
        >>> svg = heat_map_svg(rows, outlined={(1, 0)}, caption="Two layers")
        >>> svg.startswith("<figure"), svg.count("<title>")
        (True, 3)
    """
    n_layers, n_heads = len(scores), len(scores[0])
    size = min(26.0, (_WIDTH - _LEFT) / n_heads)
    width, height = size * n_heads, size * n_layers
    parts = [
        f'<rect width="{width:g}" height="{height:g}" fill="{SCALE[0]}" stroke="#888"/>',
        *_cells(scores, size),
        *_group_lines(n_heads, group_size, size, height),
        *(_outline(layer, head, size) for layer, head in outlined),
        *_ticks(n_layers, n_heads, size),
    ]
    label = escape(caption or "heat map of scores, layer by head", quote=True)
    box = f"{-_LEFT} -6 {width + _LEFT + 8:g} {height + _BELOW + 6:g}"
    return (
        f'<figure style="margin:0"><svg role="img" aria-label="{label}" viewBox="{box}" '
        f'width="{width + _LEFT + 8:g}" style="max-width:100%;height:auto" font-size="11" '
        f'font-family="sans-serif" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def colour_of(score: float) -> str:
    """The colour of a score on `SCALE`; below 0 and above 1 that of the nearer end."""
    place = min(max(score, 0.0), 1.0) * (len(SCALE) - 1)
    index = min(int(place), len(SCALE) - 2)
    ends = [[int(SCALE[i][at : at + 2], 16) for at in (1, 3, 5)] for i in (index, index + 1)]
    share = place - index
    mixed = (round(a + share * (b - a)) for a, b in zip(*ends, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def tick_places(n: int, most: int = 16) -> range:
    """Indices to label on an axis of n: all of them, or every second, fourth and so on."""
    step = 1
    while n > most * step:
        step *= 2
    return range(0, n, step)


def _cells(scores: Sequence[Sequence[float]], size: float) -> list[str]:
    cells = []
    for layer, row in enumerate(scores):
        for head, score in enumerate(row):
            x, y = head * size, layer * size
            if isnan(score):
                cells.append(
                    f'<path d="M{x:g} {y:g}l{size:g} {size:g}m0 {-size:g}l{-size:g} {size:g}" '
                    f'stroke="#777"><title>L{layer}H{head}: no score</title></path>'
                )
            elif score != 0:
                cells.append(
                    f'<rect x="{x:g}" y="{y:g}" width="{size:g}" height="{size:g}" '
                    f'fill="{colour_of(score)}"><title>L{layer}H{head} {score:.3f}</title></rect>'
                )
    return cells


def _group_lines(n_heads: int, group_size: int, size: float, height: float) -> list[str]:
    if group_size < 2:
        return []
    return [
        f'<path d="M{head * size:g} 0v{height:g}" stroke="#888" stroke-width="0.7"/>'
        for head in range(group_size, n_heads, group_size)
    ]


def _outline(layer: int, head: int, size: float) -> str:
    """A blue frame around one cell; where there is room a white one in it, to be seen on dark."""
    width = max(1.0, size / 10)
    frames = [("#0072b2", 0.0, width), ("#fff", width, width / 2)][: 2 if size >= 12 else 1]
    return "".join(
        f'<rect x="{head * size + inside:g}" y="{layer * size + inside:g}" '
        f'width="{size - 2 * inside:g}" height="{size - 2 * inside:g}" fill="none" '
        f'stroke="{colour}" stroke-width="{line:g}" pointer-events="none"/>'
        for colour, inside, line in frames
    )


def _ticks(n_layers: int, n_heads: int, size: float) -> list[str]:
    """Numbers of layers and heads, and what they count."""
    layers = [
        f'<text x="-4" y="{(layer + 0.5) * size + 4:g}" text-anchor="end">{layer}</text>'
        for layer in tick_places(n_layers, max(1, int(n_layers * size / 14)))
    ]
    below = n_layers * size + 12
    heads = [
        f'<text x="{(head + 0.5) * size:g}" y="{below:g}" text-anchor="middle">{head}</text>'
        for head in tick_places(n_heads)
    ]
    middle = n_heads * size / 2
    names = [
        f'<text x="{middle:g}" y="{below + 14:g}" text-anchor="middle">head</text>',
        f'<text transform="translate(-24 {n_layers * size / 2:g}) rotate(-90)" '
        'text-anchor="middle">layer</text>',
    ]
    return [f'<g fill="currentColor">{"".join([*layers, *heads, *names])}</g>']
