"""How well passages are ordered, as text."""

from rh_lens.uses import RankingQuality
from rh_lens.views.summarise import text_of
from rh_lens.views.terminal import table_text, wrapped


@text_of.register
def _(quality: RankingQuality) -> str:
    rows = []
    for row in quality.summary().to_dict("records"):
        interval = f"{row['ndcg']:.2f} [{row['ndcg_low']:.2f}, {row['ndcg_high']:.2f}]"
        cells = {"order by": str(row["method"]), f"nDCG@{quality.k} [95 %]": interval}
        recalls = {name: value for name, value in row.items() if str(name).startswith("recall_at_")}
        named = {f"recall@{str(name)[10:]}": f"{value:.2f}" for name, value in recalls.items()}
        rows.append(cells | named)
    n_queries = quality.table["query"].nunique()
    note = f"{n_queries} queries (intervals are over queries)."
    return f"{table_text(rows)}\n\n{wrapped(note)}"
