"""The section on what the heads were put to use for."""

from rh_lens.runs import StoredUse
from rh_lens.views.page.content import PageContent
from rh_lens.views.page.markup import Html, element, join, table
from rh_lens.views.page.section import Section
from rh_lens.views.page.words import interval, number, share, shortened

_WHAT = {
    "compress": "A KV cache that keeps the whole context only in some key-value groups, and "
    "windows in all others: what is left of needle recall, and of plain prose.",
    "rank": "Passages in the order of the attention that a question pays them in some heads, "
    "beside the order by words.",
}


def uses(content: PageContent) -> Section | None:
    """A table for each use."""
    if not content.uses:
        return None
    makers = {"compress": _compressed, "rank": _ranked}
    parts = [
        piece
        for use in content.uses
        for piece in (element("p", _WHAT[use.command]), makers[use.command](use))
    ]
    return Section("uses", "What they are good for", join(parts))


def _compressed(use: StoredUse) -> Html:
    read = "reading" in use.table.columns
    rows = [
        [
            shortened(row["strategy"], 80),
            share(float(row["share"])),
            share(float(row["of_full"])),
            number(float(row["recall"]), 2),
            interval(float(row["recall_low"]), float(row["recall_high"])),
            number(float(row["perplexity"]), 2),
            *([number(float(row["reading"]), 2)] if read else []),
            *([interval(float(row["reading_low"]), float(row["reading_high"]))] if read else []),
        ]
        for row in use.table.to_dict("records")
    ]
    columns = ["whole context in", "groups", "cache", "recall", "interval", "perplexity"]
    columns += ["questions", "interval"] if read else []
    caption = "Needle recall by size of the cache, in percent of the largest (rh-lens compress)"
    return table(caption, columns, rows, class_="numbers")


def _ranked(use: StoredUse) -> Html:
    recalls = [name for name in use.table.columns if str(name).startswith("recall_at_")]
    rows = [
        [
            shortened(row["method"], 80),
            number(float(row["ndcg"]), 2),
            interval(float(row["ndcg_low"]), float(row["ndcg_high"])),
            *(number(float(row[name]), 2) for name in recalls),
        ]
        for row in use.table.to_dict("records")
    ]
    columns = ["order by", "nDCG", "interval", *(f"recall at {name[10:]}" for name in recalls)]
    return table("How well passages are ordered (rh-lens rank)", columns, rows, class_="numbers")
