"""Doubts from a folder stand on the page, as text."""

import pytest
from page_cases import HOSTILE, page_result
from parsed_page import by_id, parse_page

from rh_lens.doubts import Checklist, Doubt, DoubtLog, load_checklist
from rh_lens.views.page import page_content, page_html

DOUBTS = [
    Doubt(f"doubt {verdict}", "a claim", "a test", HOSTILE, verdict, "an objection")
    for verdict in ("supported", "not supported", "undecided")
]


def test_doubts_come_back_from_their_folder(tmp_path):
    log = DoubtLog(tmp_path, {"seed": 0})
    for doubt in DOUBTS:
        log.add(doubt)
    assert load_checklist(tmp_path) == Checklist(tuple(DOUBTS))
    (tmp_path / "doubts.json").write_text("[]")
    with pytest.raises(ValueError, match="Settle them anew"):
        load_checklist(tmp_path)


def test_each_doubt_has_its_verdict_and_objection():
    checklist = Checklist(tuple(DOUBTS), (("shapley", "the time was over"),))
    content = page_content(page_result(), doubts=checklist, notes=["A stage was left out."])
    root = parse_page(page_html(content))
    section = by_id(root, "doubts")
    assert [one.text for one in section.all("h3")] == [
        "✓ doubt supported: supported",
        "✗ doubt not supported: not supported",
        "? doubt undecided: undecided",
    ]
    assert section.text.count("an objection") == 3
    assert "Left out: shapley, the time was over." in section.text
    assert not section.all("script")
    assert "A stage was left out." in by_id(root, "claims").text


def test_without_doubts_there_is_no_such_section():
    assert 'id="doubts"' not in page_html(page_content(page_result()))
    assert 'id="doubts"' not in page_html(page_content(page_result(), doubts=Checklist(())))
