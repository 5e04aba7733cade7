"""A survey of kinds of heads in a few lines of text."""

import pandas as pd

from rh_lens.runs import StoredSurvey
from rh_lens.views.summarise import text_of
from rh_lens.views.terminal import table_text, wrapped

RETRIEVAL = "retrieval: "


@text_of.register
def _(survey: StoredSurvey) -> str:
    rows = [
        {"kind": str(row["name"]), "top heads, with their scores": str(row["top"])[:60]}
        for row in survey.kinds.to_dict("records")
    ]
    kinds = table_text(rows, left=["top heads, with their scores"])
    shared = shared_with_retrieval(survey)
    parts = ["Heads by kind\n" + kinds]
    if len(shared):
        cells = [
            {
                "kind": str(row["kind"]),
                "Jaccard": f"{row['value']:.2f}",
                "by chance": f"{row['layer_null_low']:.2f}-{row['layer_null_high']:.2f}",
                "p": f"{row['layer_p']:.2g}",
            }
            for row in shared.to_dict("records")
        ]
        note = (
            "Jaccard: heads in both sets by heads in either. By chance: heads exchanged inside "
            "their layers, 95 % of permutations; p is one-sided, for more than chance, each test "
            "by itself."
        )
        k = int(shared["k"].iloc[0])
        title = f"Top {k} of each kind that are among the top {k} retrieval heads"
        parts.append("\n".join([title, table_text(cells), wrapped(note)]))
    return "\n\n".join(parts)


def shared_with_retrieval(survey: StoredSurvey) -> pd.DataFrame:
    """Jaccard index of the retrieval heads with each other kind, in a column `kind`."""
    table = survey.overlap[survey.overlap["statistic"] == "jaccard"]
    first = table["a"].str.startswith(RETRIEVAL)
    second = table["b"].str.startswith(RETRIEVAL)
    found = table[first | second]
    return found.assign(kind=found["b"].where(first[found.index], found["a"]))
