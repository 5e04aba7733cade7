"""The section on tasks has the evaluation's numbers, and its claims are among the claims."""

import math

import pandas as pd
from page_cases import HOSTILE, page_result
from parsed_page import by_id, parse_page

from rh_lens.evaluation.tasks import TaskTables
from rh_lens.runs import StoredEvaluation
from rh_lens.views.page import page_content, page_html

NAN = math.nan


def evaluation(path, task=HOSTILE):
    curve = {
        "task": task, "k": [0, 1], "top": [0.75, 0.25], "top_low": [0.5, 0.125],
        "top_high": [1.0, 0.5], "change": [NAN, -0.5], "change_low": [NAN, -0.75],
        "change_high": [NAN, -0.25], "p_documents": [NAN, 0.001], "p_heads": [NAN, 0.05],
        "p_equivalent": [NAN, 1.0], "n_documents": 12, "n_items": 24, "metric": "f1",
        "margin": 0.05,
    }  # fmt: skip
    return StoredEvaluation(path, {"retrieval_heads": ["L0H0"]}, TaskTables(pd.DataFrame(curve)))


def test_the_table_and_the_claim_have_the_numbers(tmp_path):
    content = page_content(page_result(), tasks=[evaluation(tmp_path)])
    (claim,) = [one for one in content.all_claims if one.name == "reading"]
    assert (claim.value, claim.verdict, claim.n) == (-0.5, "holds", 12)
    section = by_id(parse_page(page_html(content)), "tasks")
    assert not section.all("script")
    _, none, one = section.all("table")[0].rows()
    assert none[1:4] == ["0", "0.75", "0.50 to 1.00"]
    assert one[1:] == ["1", "0.25", "0.12 to 0.50", "-0.50", "0.001", "0.05", "1"]


def test_without_an_evaluation_the_claims_are_unmeasured():
    content = page_content(page_result())
    assert 'id="tasks"' not in page_html(content)
    claims = {one.name: one for one in content.all_claims}
    assert not claims["reading"].is_measured
    assert not claims["chain"].is_measured
