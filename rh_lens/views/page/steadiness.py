"""The section on when heads are active: at which lengths, depths and needles."""

from typing import Any

import numpy as np

from rh_lens.analysis import ScoreProfile, score_profile
from rh_lens.detection import trial_table
from rh_lens.heads import Head
from rh_lens.views.page.cell_chart import CellChart
from rh_lens.views.page.content import PageContent
from rh_lens.views.page.heads import scale
from rh_lens.views.page.markup import Html, element, folded, join, table
from rh_lens.views.page.section import Section
from rh_lens.views.page.words import count, number, share

_MAX_HEADS, _MAX_LEVELS = 12, 20
_BY = {"context_length": "context length in tokens", "requested_depth": "depth"}
_WHAT = (
    "Mean score of the strongest heads at each context length and depth. A row of one colour is a "
    "head that copies everywhere; the prompts are alike but for what is varied, so that a steady "
    "row does not show that the head is active in other kinds of text."
)


def steadiness(content: PageContent) -> Section | None:
    """Scores of the strongest heads by length and by depth."""
    if content.result is None or not content.heads:
        return None
    heads, parts = content.heads[:_MAX_HEADS], list[Html]()
    charts: dict[str, Any] = {}
    for by, title in _BY.items():
        levels = trial_table(content.result.accepted)[by].nunique()
        if not 1 < levels <= _MAX_LEVELS:
            continue
        chart = _chart(score_profile(content.result, by=by), heads, title)
        charts[chart.name] = chart.data
        parts += [chart.html, _table(chart)]
    if not parts:
        return None
    start = [element("p", _WHAT), scale(hatched=False)]
    return Section("steady", "When they are active", join([*start, *parts]), {"charts": charts})


def _chart(profile: ScoreProfile, heads: list[Head], title: str) -> CellChart:
    places = [head.layer for head in heads], [head.head for head in heads]
    score = profile.score[:, places[0], places[1]].T.numpy().astype(float)
    active = profile.activation[:, places[0], places[1]].T.numpy().astype(float)
    n_trials = profile.n_trials[:, places[0], places[1]].T.numpy()
    form = "{:,.0f}" if profile.by == "context_length" else "{:.2f}"
    levels = [form.format(level) for level in profile.levels]
    readouts = [
        f"{head.label} · {title} {levels[column]} · mean score {number(score[row, column])} · "
        f"active in {share(active[row, column])} of {count(int(n_trials[row, column]), 'trial')}"
        for row, head in enumerate(heads)
        for column in range(len(levels))
    ]
    return CellChart(
        name=f"steady-{profile.by.replace('_', '-')}",
        label=f"Mean score of the strongest heads by {title}",
        values=np.asarray(score),
        rows=[head.label for head in heads],
        columns=levels,
        row_title="head",
        column_title=title,
        readouts=readouts,
    )


def _table(chart: CellChart) -> Html:
    rows = [
        [label, *(number(value) for value in row)]
        for label, row in zip(chart.rows, chart.values.tolist(), strict=True)
    ]
    columns = ["head", *chart.columns]
    return folded(
        f"These scores as a table, by {chart.column_title}",
        table(chart.label, columns, rows, class_="numbers"),
    )
