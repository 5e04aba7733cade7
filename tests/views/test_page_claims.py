"""The section of claims says what the claims say, and texts in it stay texts."""

import math
from dataclasses import replace

import pytest
from page_cases import HOSTILE, page_ablation, page_result
from parsed_page import by_id, parse_page

from rh_lens.evaluation import Claim
from rh_lens.views import claims_text
from rh_lens.views.page import page_content, page_html

TEXTS = dict.fromkeys("statement paper place what command against".split(), HOSTILE)


def section(result, **options):
    root = parse_page(page_html(page_content(result, **options)))
    return by_id(root, "claims") if "What the paper claims" in root.text else None


def rows(found):
    table = next(one for one in found.inside() if one.attributes.get("role") == "table")
    lines = [one for one in table.inside() if one.attributes.get("role") == "row"]
    cells = ("columnheader", "rowheader", "cell")
    return [
        [one.text for one in line.inside() if one.attributes.get("role") in cells] for line in lines
    ]


def test_each_claim_has_its_figure_and_verdict():
    header, *found = rows(section(page_result(), ablation=page_ablation()))
    assert header == ["Claim", "The paper", "This model", "Verdict"]
    assert all(len(row) == 4 for row in found)
    by_statement = {row[0].split(".")[0]: row for row in found}
    assert by_statement["The model has retrieval heads"][2].startswith("1 (1 to 11), 3 needles")
    assert by_statement["Many heads never copy: their score is exactly 0"][2].startswith("0.909, 3")
    lost = next(
        row for row in found if row[0].startswith("Without its retrieval heads the model d")
    )
    # One retrieval head: without it recall is 0.5, between 0.25 and 0.75.
    assert lost[2].startswith("0.5 (0.25 to 0.75), 6 needles")
    assert lost[3].startswith("? undecided")


def test_claims_of_others_are_added_or_take_a_place():
    mine = Claim("qa", value=-0.25, low=-0.5, high=-0.125, region=(-1, 0), n=9, **TEXTS)
    other = replace(mine, name="causal", value=math.nan, low=math.nan, high=math.nan)
    result = page_result()
    plain = rows(section(result))
    found = rows(section(result, claims=[mine, other]))
    assert len(found) == len(plain) + 1
    assert found[-1][2].startswith("\u22120.25 (\u22120.5 to \u22120.125), 9 needles")
    assert found[-1][3].startswith("✓ holds")
    assert sum("not measured" in row[2] for row in found) == len(
        [row for row in plain if "not measured" in row[2]]
    )


def test_without_a_right_answer_nothing_is_claimed():
    result = page_result()
    content = replace(page_content(result), scores=None)
    assert content.all_claims == []
    assert "What the paper claims" not in page_html(content)


def test_the_text_has_every_verdict_and_fits_a_terminal():
    content = page_content(page_result(), ablation=page_ablation())
    told = claims_text(content.all_claims)
    assert "1 holds, 1 does not hold, 9 are undecided" in " ".join(told.split())
    assert max(map(len, told.splitlines())) <= 80
    for claim in content.all_claims:
        assert claim.statement[:30] in " ".join(told.split())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"region": (0.1, math.inf)}, "0.1 or more"),
        ({"region": (-math.inf, 0.5)}, "0.5 or less"),
        ({"p_for": 0.25}, "p = 0.25 for it (decides from 0.05 down)"),
        ({"p_against": 0.01}, "p = 0.01 against it"),
        ({}, "nothing decides it"),
    ],
)
def test_the_text_says_what_decides(given, told):
    claim = Claim("one", value=0.25, **(TEXTS | {"what": "a share"}), **given)
    assert told in " ".join(claims_text([claim]).split())
