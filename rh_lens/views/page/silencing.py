"""The section with the ablation: what is answered without the top heads, and without others."""

from typing import Any

import pandas as pd

from rh_lens.evaluation import AblationTables
from rh_lens.views.ablation_text import match_name, require_curve
from rh_lens.views.page.content import PageContent
from rh_lens.views.page.curve_chart import CurveChart, Series
from rh_lens.views.page.markup import Html, element, folded, join, table
from rh_lens.views.page.section import Section
from rh_lens.views.page.silenced_grids import silenced_grids
from rh_lens.views.page.silencing_rows import main_comparison
from rh_lens.views.page.words import count, interval, number, pvalue, share

_MARKS = ("square", "triangle", "diamond", "bar")


def silencing(content: PageContent) -> Section | None:
    """The ablation curve beside its controls, and how answers come out."""
    tables = content.ablation
    if tables is None:
        return None
    controls = tables.controls if tables.controls is not None else pd.DataFrame()
    require_curve(tables.curve, tables.controls)
    chart = _chart(tables, controls)
    grids, grid_data = silenced_grids(tables)
    html = join(
        [
            element("p", _what(tables.curve, content.ablation_description)),
            chart.html,
            _missing(controls),
            _table(tables.curve, controls),
            grids,
            _failures(tables.failures),
        ]
    )
    charts = {chart.name: chart.data, **grid_data}
    return Section("silencing", "What happens without them", html, {"charts": charts})


def _what(curve: pd.DataFrame, description: dict[str, Any]) -> str:
    first = curve.iloc[0]
    said = description.get("arguments", {})
    how = {"zero": "replaced by zero", "mean": "replaced by their mean", "scale": "scaled down",
           "uniform": "replaced by the average of the text"}  # fmt: skip
    operator = how.get(said.get("operator", ""), "silenced")
    when = {"decode": ", while the answer is written", "prefill": ", while the prompt is read"}
    return (
        f"The outputs of the K heads with the highest scores are {operator}"
        f"{when.get(said.get('scope', ''), '')}. {count(int(first['n_prompts']), 'prompt')} about "
        f"{count(int(first['n_needles']), 'needle')} are asked at each K. The band around the "
        f"solid line is the {share(first['level'])} interval over needles; bands around the "
        "others reach from the lowest draw of random heads to the highest."
    )


def _chart(tables: AblationTables, controls: pd.DataFrame) -> CurveChart:
    curve, main = tables.curve, main_comparison(tables)
    ks = [int(k) for k in curve["k"]]
    level = share(curve["level"].iloc[0])
    top = Series(
        f"the K heads of the highest scores ({level} interval)", "top", "circle",
        range(len(ks)), *(curve[name].tolist() for name in ("top", "top_low", "top_high")),
    )  # fmt: skip
    metric = str(curve["metric"].iloc[0])
    return CurveChart(
        name="curve",
        label=f"Needle {metric} against the number of silenced heads",
        ks=ks,
        series=[top, *_control_series(ks, curve, controls)],
        row_title=f"needle {metric}",
        column_title="heads silenced (K)",
        readouts=[_readout(row, controls) for row in curve.to_dict("records")],
        start=ks.index(main.k) if main else 0,
    )


def _control_series(ks: list[int], curve: pd.DataFrame, controls: pd.DataFrame) -> list[Series]:
    """Each kind of control, from the untouched model on where that was asked."""
    if not len(controls):
        return []
    drawn = controls[(controls["n_draws"] > 0) & controls["k"].isin(ks)]
    untouched = curve.loc[curve["k"] == 0, "top"].tolist()
    first = [ks.index(0)] if untouched else []
    found = []
    for place, match in enumerate(list(drawn["match"].unique())[: len(_MARKS)]):
        rows = drawn[drawn["match"] == match]
        found.append(
            Series(
                f"other heads, {match_name(match)}",
                f"control-{place + 1}",
                _MARKS[place],
                [*first, *(ks.index(k) for k in rows["k"])],
                *(
                    untouched + rows[name].tolist()
                    for name in ("control", "control_lowest", "control_highest")
                ),
            )
        )
    return found


def _readout(row: dict[Any, Any], controls: pd.DataFrame) -> str:
    ends = interval(row["top_low"], row["top_high"])
    parts = [f"K = {row['k']} · {row['metric']} {number(row['top'], 2)} ({ends})"]
    for other in _of_k(row["k"], controls):
        parts.append(f"others, {match_name(other['match'])}: {number(other['control'], 2)}")
    if row["p_heads"] == row["p_heads"]:
        parts.append(f"p heads {pvalue(row['p_heads'])}")
    return " · ".join(parts)


def _of_k(k: int, controls: pd.DataFrame) -> list[dict[Any, Any]]:
    """Controls that were drawn for one K."""
    if not len(controls):
        return []
    return controls[(controls["k"] == k) & (controls["n_draws"] > 0)].to_dict("records")


def _missing(controls: pd.DataFrame) -> Html | None:
    """Why lines of controls end where they do."""
    if not len(controls):
        return None
    without = controls[controls["n_draws"] == 0].groupby("match", sort=False)["k"]
    reasons = [
        f"{match_name(str(match))}: none at K = {', '.join(str(k) for k in ks)}"
        for match, ks in without
    ]
    if not reasons:
        return None
    words = f"Where lines end, too few other heads are left to draw from ({'; '.join(reasons)})."
    return element("p", words, class_="note")


def _table(curve: pd.DataFrame, controls: pd.DataFrame) -> Html:
    kinds = list(controls["match"].unique()) if len(controls) else []
    rows = []
    for row in curve.to_dict("records"):
        of_k = {other["match"]: other for other in _of_k(row["k"], controls)}
        others = [
            f"{number(of_k[kind]['control'])} ({int(of_k[kind]['n_draws'])})"
            if kind in of_k
            else "–"
            for kind in kinds
        ]
        ends = interval(row["top_low"], row["top_high"])
        tested = [pvalue(row["p_untouched"]), pvalue(row["p_heads"])]
        rows.append([str(row["k"]), number(row["top"]), ends, *tested, *others])
    columns = ["K", "top K", "interval", "p needles", "p heads"]
    columns += [f"others, {match_name(kind)} (draws)" for kind in kinds]
    caption = (
        "p needles: other needles would show no loss; p heads: heads drawn in their place do as "
        "much harm (corrected over the Ks)"
    )
    return folded("The curve as a table", table(caption, columns, rows, class_="numbers"))


def _failures(failures: pd.DataFrame | None) -> Html | None:
    """How answers come out at each K, and the perplexity of plain text."""
    if failures is None:
        return None
    shares = failures[failures["kind"].isin(["none", "top"])].drop(columns=["kind", "match"])
    names = [str(name) for name in shares.columns]
    shown = [name for name in names if name == "k" or shares[name].fillna(0).any()]
    rows = [
        [str(int(row["k"])), *(number(float(row[name]), 2) for name in shown if name != "k")]
        for row in shares.to_dict("records")
    ]
    columns = ["K", *(name.replace("_", " ") for name in shown if name != "k")]
    caption = (
        "With the top K silenced: shares of answers by how they come out; perplexity of plain "
        "text, and its ratio to the untouched model's"
    )
    return folded("How answers fail", table(caption, columns, rows, class_="numbers"))
