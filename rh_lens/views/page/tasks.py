"""The section on tasks: scores without the top heads, at each number of heads."""

from rh_lens.runs import StoredEvaluation
from rh_lens.views.page.content import PageContent
from rh_lens.views.page.markup import Html, element, join, table
from rh_lens.views.page.section import Section
from rh_lens.views.page.words import count, interval, number, pvalue, shortened

_WHAT = (
    "What the K heads of the highest scores do for tasks other than finding a needle. p documents: "
    "other documents would show no loss; p heads: heads drawn in their place do as much harm; p "
    "same: the change is the margin or more, either way."
)


def tasks(content: PageContent) -> Section | None:
    """A table for each evaluation."""
    if not content.tasks:
        return None
    parts = [element("p", _WHAT), *map(_curve, content.tasks)]
    return Section("tasks", "What they do for tasks", join(parts))


def _curve(evaluation: StoredEvaluation) -> Html:
    curve = evaluation.tables.curve
    first = curve.iloc[0]
    rows = [
        [
            shortened(row["task"], 80),
            str(int(row["k"])),
            number(float(row["top"]), 2),
            interval(float(row["top_low"]), float(row["top_high"])),
            number(float(row["change"]), 2),
            *(pvalue(float(row[name])) for name in ("p_documents", "p_heads", "p_equivalent")),
        ]
        for row in curve.to_dict("records")
    ]
    caption = (
        f"{shortened(first['metric'], 80)} of {count(int(first['n_items']), 'item')} about "
        f"{count(int(first['n_documents']), 'document')}, the K best heads silenced; margin "
        f"{float(first['margin']):g}"
    )
    columns = ["task", "K", "score", "interval", "change", "p documents", "p heads", "p same"]
    return table(caption, columns, rows, class_="numbers")
