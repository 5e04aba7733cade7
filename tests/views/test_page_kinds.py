"""The sections on other kinds of heads and on when heads are active."""

import pandas as pd
from page_cases import HOSTILE, page_result
from parsed_page import by_id, page_data, parse_page

from rh_lens.analysis import score_profile
from rh_lens.runs import StoredSurvey
from rh_lens.views.page import page_content, page_html


def page(result, **options):
    return parse_page(page_html(page_content(result, **options)))


def stored(path, kind="induction"):
    rows = [
        {"a": "retrieval: position", "b": kind, "statistic": name, "value": 0.6, "low": 0.2,
         "high": 0.8, "layer_null_low": 0.0, "layer_null_high": 0.25, "p": 0.01, "layer_p": 0.04,
         "k": 4}
        for name in ("pearson", "jaccard")
    ]  # fmt: skip
    kinds = {"name": kind, "stage": "s", "measures": "m", "source": "Olsson", "top": "L1H0 0.80"}
    heads = pd.DataFrame({"layer": [0], "head": [0], "label": ["L0H0"]})
    return StoredSurvey(path, {}, pd.DataFrame([kinds]), heads, pd.DataFrame(rows))


def test_kinds_stand_beside_chance(tmp_path):
    section = by_id(page(page_result(), survey=stored(tmp_path)), "kinds")
    shared, listed = section.all("table")
    assert shared.rows()[1:] == [["induction", "0.60", "0.00 to 0.25", "0.04"]]
    assert listed.rows()[1:] == [["induction", "m", "Olsson", "L1H0 0.80"]]


def test_names_of_kinds_stay_text(tmp_path):
    root = page(page_result(), survey=stored(tmp_path, HOSTILE))
    assert not by_id(root, "kinds").all("script")
    assert "document.title" in by_id(root, "kinds").text


def test_the_cells_are_the_score_profile():
    result = page_result()
    root = page(result)
    charts = page_data(root)["charts"]
    forms = {"context_length": "{:,}", "requested_depth": "{:.2f}"}
    tables = by_id(root, "steady").all("table")
    for (by, form), table in zip(forms.items(), tables, strict=True):
        profile, chart = score_profile(result, by=by), charts[f"steady-{by.replace('_', '-')}"]
        assert (chart["rows"], chart["cols"]) == (1, len(profile.levels))
        scores = [f"{value:.3f}" for value in profile.score[:, -1, -1].tolist()]
        levels = [form.format(level) for level in profile.levels]
        assert table.rows() == [["head", *levels], ["L2H3", *scores]]


def test_without_retrieval_heads_or_levels_there_is_no_such_section():
    content = page_content(page_result(n_trials=2))
    assert 'id="steady"' not in page_html(content)
