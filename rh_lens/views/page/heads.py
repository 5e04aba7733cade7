"""The section with the score of every head."""

import numpy as np

from rh_lens.detection import RetrievalResult
from rh_lens.heads import Head
from rh_lens.views.head_cells import head_cells
from rh_lens.views.page.cell_chart import CellChart
from rh_lens.views.page.content import PageContent
from rh_lens.views.page.markup import Html, element, folded, join, table
from rh_lens.views.page.section import Section
from rh_lens.views.page.words import count, interval, number, share

_MAX_ROWS = 6_000


def heads(content: PageContent) -> Section | None:
    """Heat map of the scores, layer by head, and all scores as a table."""
    if content.result is None:
        return None
    chart = _chart(content, content.result)
    what = element(
        "p",
        f"The stronger the colour, the higher the {content.result.scores.name} score. A frame "
        f"marks a retrieval head ({content.threshold:g} or more)",
        _of_groups(content),
        ".",
    )
    return Section(
        "heads",
        "Which heads copy",
        join(
            [what, scale(hatched=chart.has_gaps), chart.html, _not_seen(content), _table(content)]
        ),
        {"charts": {chart.name: chart.data}},
    )


def scale(*, hatched: bool) -> Html:
    """What the colours mean, and hatching where there is some."""
    steps = "".join(
        f'<rect class="cell" x="{10 * k}%" width="10.2%" height="100%" fill-opacity="{k / 9:.2f}"/>'
        for k in range(10)
    )
    bar = element(
        "svg",
        Html(f'<rect class="zero" width="100%" height="100%"/>{steps}'),
        width=120,
        height=12,
        aria_hidden="true",
    )
    hatch = element(
        "svg", Html('<rect class="unseen" width="100%" height="100%"/>'), width=24, height=12,
        aria_hidden="true",
    )  # fmt: skip
    without = [element("span"), hatch, "no value"] if hatched else []
    return element("p", "0", bar, "1", *without, class_="scale")


def _of_groups(content: PageContent) -> str:
    size = content.n_heads // content.n_kv_heads
    return f"; vertical lines part groups of {size} heads that share keys" if size > 1 else ""


def _chart(content: PageContent, result: RetrievalResult) -> CellChart:
    mean = result.scores.mean().numpy()
    n_layers, n_heads = mean.shape
    cells = head_cells(result, intervals=content.intervals)
    every = [Head(layer, head) for layer in range(n_layers) for head in range(n_heads)]
    best = result.scores.ranking()[:1]
    return CellChart(
        name="heat",
        label=f"Heat map of the scores of {mean.size:,} heads in {count(n_layers, 'layer')}",
        values=np.asarray(mean),
        rows=[str(layer) for layer in range(n_layers)],
        columns=[str(head) for head in range(n_heads)],
        row_title="layer",
        column_title="head",
        readouts=[" · ".join(cells.facts(head)) for head in every],
        outlined=frozenset(head.layer * n_heads + head.head for head in content.heads),
        group=n_heads // content.n_kv_heads,
        start=best[0].layer * n_heads + best[0].head if best else 0,
    )


def _not_seen(content: PageContent) -> Html | None:
    n = int((content.head_table["n_trials"] == 0).sum())
    words = f"{count(n, 'head')} (hatched) cannot see the answer in any trial and have no score."
    return element("p", words, class_="note") if n else None


def _table(content: PageContent) -> Html:
    shown = content.head_table.head(_MAX_ROWS)
    rows = [
        [
            row["label"],
            number(row["score"]),
            interval(row["low"], row["high"]),
            share(row["activation"]),
            str(row["kv_group"]),
            f"{row['n_trials']:,}",
        ]
        for row in shown.to_dict("records")
    ]
    columns = ("head", "score", "95 % interval", "active in", "KV group", "trials")
    n = len(content.head_table)
    what = f"All {n:,} heads, best first" if n == len(rows) else f"The best {len(rows):,} of {n:,}"
    return folded("The scores as a table", table(what, columns, rows, class_="numbers"))
