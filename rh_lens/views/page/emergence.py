"""The section on the training: when the strongest heads got their scores."""

from rh_lens.analysis import Emergence, Moment
from rh_lens.heads import Head
from rh_lens.views.page.content import PageContent
from rh_lens.views.page.curve_chart import CurveChart, Series
from rh_lens.views.page.markup import Html, element, folded, join, table
from rh_lens.views.page.section import Section
from rh_lens.views.page.words import number, shortened

_N_HEADS, _MAX_MOMENTS, _MAX_ROWS = 4, 40, 20
_MARKS = ("square", "triangle", "diamond", "bar")
_WHAT = (
    "Heads of the model at moments of its training, on the same prompts: the recall of its answers "
    "and the strongest heads' position score, which is missing while no answer is right; then "
    "their prefix matching on repeated random tokens (induction). Moments stand at equal distances."
)


def emergence(content: PageContent) -> Section | None:
    """Recall, scores and induction over the training, and when each head came."""
    found = content.emergence
    if found is None:
        return None
    found = Emergence(_spread(found.moments), found.failed)
    heads = found.top(_N_HEADS)
    recall = [moment.recall for moment in found.moments]
    whole = Series("recall", "top", "circle", range(len(recall)), recall, recall, recall)
    charts = [
        _chart(found, "emergence", "score, recall", [whole, *_series(found, heads, "score")]),
        _chart(found, "emergence-induction", "induction", _series(found, heads, "induction")),
    ]
    parts = [element("p", _WHAT), *(chart.html for chart in charts), _moments(found), _heads(found)]
    data = {"charts": {chart.name: chart.data for chart in charts}}
    return Section("training", "When they came", join(parts), data)


def _spread(moments: tuple[Moment, ...]) -> tuple[Moment, ...]:
    """At most so many moments, the first and the last among them."""
    if len(moments) <= _MAX_MOMENTS:
        return moments
    step = (len(moments) - 1) / (_MAX_MOMENTS - 1)
    return tuple(moments[round(place * step)] for place in range(_MAX_MOMENTS))


def _series(found: Emergence, heads: list[Head], value: str) -> list[Series]:
    """A line for each head, through the moments in which it has a score."""
    values = found.values(value)
    lines = []
    for place, head in enumerate(heads):
        line = values[:, head.layer, head.head].tolist()
        known = [(at, one) for at, one in enumerate(line) if one == one]
        at, ones = [at for at, _ in known], [one for _, one in known]
        kind = f"control-{place + 1}"
        lines.append(Series(head.label, kind, _MARKS[place], at, ones, ones, ones))
    return [line for line in lines if line.at]


def _chart(found: Emergence, name: str, what: str, series: list[Series]) -> CurveChart:
    readouts = [
        " · ".join(
            [
                f"moment {shortened(moment.name, 60)}{_tokens(moment.tokens)}",
                *(
                    f"{one.name} {number(one.values[list(one.at).index(place)])}"
                    for one in series
                    if place in one.at
                ),
            ]
        )
        for place, moment in enumerate(found.moments)
    ]
    return CurveChart(
        name=name,
        label=f"{what.capitalize()} over the training",
        ks=[_short(moment.name) for moment in found.moments],
        series=series,
        row_title=what,
        column_title="moment",
        readouts=readouts,
        start=len(readouts) - 1,
    )


def _short(name: str) -> str:
    return name if len(name) <= 7 else f"…{name[-6:]}"


def _tokens(tokens: float) -> str:
    return "" if tokens != tokens else f" · {tokens:,.0f} tokens"


def _moments(found: Emergence) -> Html:
    rows = [
        [
            shortened(one.name, 80),
            "–" if one.tokens != one.tokens else f"{one.tokens:,.0f}",
            number(one.recall),
            number(one.exact),
            f"{one.n_accepted} of {one.n_prompts}",
        ]
        for one in found.moments
    ]
    columns = ["moment", "tokens", "recall", "exact", "right"]
    return folded("The moments as a table", table("Moments", columns, rows, class_="numbers"))


def _heads(found: Emergence) -> Html:
    """When each of the best heads first had a score of 0.1, and what became of it."""
    rows = []
    for row in found.appearances().head(_MAX_ROWS).to_dict("records"):
        cells = [str(row["label"])]
        for name in ("score", "forced", "induction"):
            first = row[f"{name}_from"]
            cells.append(shortened(first, 40) if isinstance(first, str) else "never")
            cells += [number(float(row[f"{name}_{which}"]), 2) for which in ("highest", "last")]
        rows.append(cells)
    columns = ["head"]
    for name in ("score", "fed the answer", "induction"):
        columns += [f"{name} 0.1 from", "highest", "last"]
    caption = "The best heads at the end: since when each score is 0.1, its highest value, its last"
    return folded("When each head came", table(caption, columns, rows, class_="numbers"))
