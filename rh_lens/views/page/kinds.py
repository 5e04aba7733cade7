"""The section on what else the heads do, by other detectors of the field."""

from rh_lens.views.page.content import PageContent
from rh_lens.views.page.markup import Html, element, folded, join, table
from rh_lens.views.page.section import Section
from rh_lens.views.page.words import count, interval, number, pvalue, shortened
from rh_lens.views.survey_text import shared_with_retrieval

_WHAT = (
    "The same heads by other kinds that the field knows. A high score says what a head does on "
    "these inputs, not that the model needs it. The table says how many of each kind's top heads "
    "are top retrieval heads, too: the Jaccard index is the heads in both sets by those in either."
)


def kinds(content: PageContent) -> Section | None:
    """Overlap with the retrieval heads beside chance, and each kind's top heads."""
    survey = content.survey
    if survey is None:
        return None
    parts: list[Html] = [element("p", _WHAT)]
    shared = shared_with_retrieval(survey)
    if len(shared):
        k = int(shared["k"].iloc[0])
        rows = [
            [
                shortened(row["kind"], 80),
                number(row["value"], 2),
                interval(row["layer_null_low"], row["layer_null_high"]),
                pvalue(row["layer_p"]),
            ]
            for row in shared.to_dict("records")
        ]
        caption = (
            f"Jaccard index of the {count(k, 'top head')} with the top retrieval heads. By chance: "
            "95 % of permutations of heads inside their layers; p: one-sided, each test by itself"
        )
        columns = ["kind", "Jaccard", "by chance", "p"]
        parts.append(table(caption, columns, rows, class_="numbers"))
    listed = [
        [*(shortened(row[name], 200) for name in ("name", "measures", "source", "top"))]
        for row in survey.kinds.to_dict("records")
    ]
    columns = ["kind", "measures", "source", "top heads"]
    whole = table("Each kind's three top heads with their scores", columns, listed)
    parts.append(folded("All kinds as a table", whole))
    return Section("kinds", "What else these heads do", join(parts))
