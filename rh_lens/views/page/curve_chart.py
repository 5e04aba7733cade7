"""A picture of a metric against the number of silenced heads, or over a training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rh_lens.representation import short_repr
from rh_lens.views.page.cell_chart import chart_frame, plot_frame
from rh_lens.views.page.markup import Html, element, join, text

_HEIGHT = 300
# Of the height, so that points at 0 and 1 are whole.
_MARGIN = 4
_MARKS = {
    "circle": "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0Z",
    "square": "M-4.5-4.5h9v9h-9Z",
    "triangle": "M0-5.5L5.5 4.5H-5.5Z",
    "diamond": "M0-6L6 0L0 6L-6 0Z",
    "bar": "M-6-2.5h12v5h-12Z",
}


@dataclass(frozen=True)
class Series:
    """One line with its band.

    Args:
        name: What the legend calls it.
        kind: Its look in the style sheet: "top", or "control-1" to "control-4".
        mark: One of the marks.
        at: Places of its points, by the number of the K.
        values: The points, 0 to 1.
        low: Lower end of the band at each.
        high: Upper end.
    """

    name: str
    kind: str
    mark: str
    at: Sequence[int]
    values: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True, eq=False)
class CurveChart:
    """Lines over the Ks, which stand side by side at equal distances.

    Args:
        name: Of the chart in the page.
        label: What a screen reader calls it.
        ks: Numbers of silenced heads, or what else stands below the points.
        series: The lines; the first is drawn last.
        row_title: What is measured.
        column_title: What the Ks are.
        readouts: What is said of each K.
        start: K that is told of at first, by its number.
    """

    name: str
    label: str
    ks: Sequence[int | str]
    series: Sequence[Series]
    row_title: str
    column_title: str
    readouts: Sequence[str]
    start: int = 0

    __repr__ = short_repr

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script reads."""
        return {"rows": 1, "cols": len(self.ks), "start": self.start, "texts": [*self.readouts]}

    @property
    def html(self) -> Html:
        """The picture between legend and the line that tells of the chosen K."""
        lines = join(self._line(one) for one in reversed(self.series))
        stretched = element(
            "svg", lines, viewBox="0 0 100 100", preserveAspectRatio="none", width="100%",
            height="100%",
        )  # fmt: skip
        marks = join(self._marks(one) for one in reversed(self.series))
        picture = element(
            "svg",
            element("rect", class_="cursor"),
            Html("".join(_rule(value / 4) for value in range(5))),
            stretched,
            marks,
            width="100%",
            height=_HEIGHT,
            aria_hidden="true",
            focusable="false",
        )
        plot = plot_frame(self.name, self.label, picture)
        axes = (_scale(), self._ks())
        return chart_frame(self, plot, axes, self.readouts[self.start], self._legend())

    def _x(self, place: int) -> float:
        return 100 * (place + 0.5) / len(self.ks)

    def _line(self, one: Series) -> Html:
        def points(values: Sequence[float]) -> list[str]:
            pairs = zip(one.at, values, strict=True)
            return [f"{self._x(place):.4g},{_y(value):.4g}" for place, value in pairs]

        band = " ".join([*points(one.high), *reversed(points(one.low))])
        return Html(
            f'<polygon class="band {one.kind}" points="{band}"/>'
            f'<polyline class="line {one.kind}" points="{" ".join(points(one.values))}"/>'
        )

    def _marks(self, one: Series) -> Html:
        places = zip(one.at, one.values, strict=True)
        return join(_mark(one, f"{self._x(at):.4g}%", f"{_y(y):.4g}%") for at, y in places)

    def _ks(self) -> Html:
        texts = [
            f'<text x="{self._x(place):.4g}%" y="14">{text(str(k))}</text>'
            for place, k in enumerate(self.ks)
        ]
        return element(
            "svg", Html("".join(texts)), class_="labels", height=18, width="100%",
            aria_hidden="true",
        )  # fmt: skip

    def _legend(self) -> Html:
        items = []
        for one in self.series:
            swatch = Html(f'<line class="line {one.kind}" x1="0" x2="28" y1="8" y2="8"/>')
            mark = _mark(one, "14", "8")
            picture = element("svg", swatch, mark, width=28, height=16, aria_hidden="true")
            items.append(element("li", picture, " ", one.name))
        return element("ul", *items, class_="legend")


def _y(value: float) -> float:
    return 100 - _MARGIN - (100 - 2 * _MARGIN) * value


def _rule(value: float) -> str:
    return f'<line class="rule" x1="0" x2="100%" y1="{_y(value):.4g}%" y2="{_y(value):.4g}%"/>'


def _scale() -> Html:
    texts = [
        f'<text x="100%" y="{_y(value / 4):.4g}%" dy="0.35em">{value / 4:g}</text>'
        for value in range(5)
    ]
    return element(
        "svg", Html("".join(texts)), class_="rows", width=36, height=_HEIGHT, aria_hidden="true"
    )


def _mark(one: Series, x: str, y: str) -> Html:
    mark = f'<path class="mark {one.kind}" d="{_MARKS[one.mark]}"/>'
    return Html(f'<svg class="point" x="{x}" y="{y}">{mark}</svg>')
