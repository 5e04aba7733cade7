"""The needle grid again with nothing, the top heads, and other heads silenced."""

from typing import Any

import pandas as pd

from rh_lens.evaluation import AblationTables
from rh_lens.views.ablation_text import match_name
from rh_lens.views.page.cell_chart import CellChart
from rh_lens.views.page.markup import Html, element, folded, join, table
from rh_lens.views.page.needle_grid import grid_chart
from rh_lens.views.page.silencing_rows import main_comparison
from rh_lens.views.page.words import count, number

_COLUMNS = {"kind", "k", "match", "context_length", "requested_depth", "recall", "retrieved"}


def silenced_grids(tables: AblationTables) -> tuple[Html | None, dict[str, Any]]:
    """Grids side by side, and what the script reads; nothing where there are no answers."""
    main, answers = main_comparison(tables), tables.answers
    if main is None or answers is None or _COLUMNS - set(answers.columns):
        return None, {}
    of_k = answers[answers["k"] == main.k]
    groups = [
        ("none", "Nothing silenced", answers[answers["kind"] == "none"]),
        ("top", f"Without the {count(main.k, 'head')} of the highest scores",
         of_k[of_k["kind"] == "top"]),
    ]  # fmt: skip
    groups += [
        (f"control-{place}", f"Without as many others, {match_name(str(match))}", found)
        for place, (match, found) in enumerate(
            of_k[of_k["kind"] == "control"].groupby("match", sort=False)
        )
    ][:1]
    charts = [
        grid_chart(f"grid-{name}", f"{title}: recall by context length and depth", found)
        for name, title, found in _filled(groups)
    ]
    titles = [title for _, title, _ in _filled(groups)]
    return _beside(titles, charts), {chart.name: chart.data for chart in charts}


def _filled(groups: list[tuple[str, str, pd.DataFrame]]) -> list[tuple[str, str, pd.DataFrame]]:
    return [
        (name, title, found.assign(right=found["retrieved"].astype(bool)))
        for name, title, found in groups
        if len(found)
    ]


def _beside(titles: list[str], charts: list[CellChart]) -> Html:
    pictures = [
        element("div", element("h3", title), chart.html)
        for title, chart in zip(titles, charts, strict=True)
    ]
    rows = [
        [title, row, *(number(value) for value in values)]
        for title, chart in zip(titles, charts, strict=True)
        for row, values in zip(chart.rows, chart.values.tolist(), strict=True)
    ]
    columns = ["silenced", "depth", *(f"{column} tokens" for column in charts[0].columns)]
    numbers = table("Mean recall by context length and depth", columns, rows, class_="numbers")
    return join(
        [element("div", *pictures, class_="beside"), folded("These grids as a table", numbers)]
    )
