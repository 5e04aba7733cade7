"""An answer with its sources as text and as a page."""

import re

import pytest

from rh_lens.demo import load_demo_model
from rh_lens.uses import cite
from rh_lens.views import cited_text, save_cited_page, summarise

DOCUMENT = (
    "It <i>rained</i>.\nThe Orrin sisters call the cat Baron Turnip. \x1b[31mRed. " + "x" * 70
)


@pytest.fixture(scope="module")
def answers():
    model = load_demo_model()
    question = "What do the Orrin sisters call the cat?"
    every = cite(model, DOCUMENT, question, heads=["L2H2", "L2H4"])
    return every, cite(model, DOCUMENT, question, heads="L0H0")


def test_the_source_stands_in_its_text(answers) -> None:
    text = summarise(answers[0])
    assert text.splitlines()[0] == "Baron Turnip."
    assert "[1] characters 49-61, support 1.00" in text
    assert "It <i>rained</i>. The Orrin sisters call the cat [[Baron Turnip]]. " in text
    assert "\x1b" not in text


def test_colours_say_what_was_copied(answers) -> None:
    known, unknown = (cited_text(answer, colour=True) for answer in answers)
    assert "\x1b[32m" in known.splitlines()[0]
    assert "\x1b[31m" not in known
    assert "\x1b[31m" in unknown.splitlines()[0]
    assert "Unsupported: fewer than half" in unknown
    assert "Unsupported" not in known


def test_the_page_is_escaped_and_needs_no_network(answers, tmp_path) -> None:
    page = save_cited_page(answers[0], tmp_path / "a.html").read_text(encoding="utf-8")
    assert "It &lt;i&gt;rained&lt;/i&gt;." in page
    assert '<mark id="source-1">Baron Turnip<sup>1</sup></mark>' in page
    assert "<i>" not in page
    assert not re.search(r"https?:|<script|<link|<img", page)
    unknown = save_cited_page(answers[1], tmp_path / "b.html").read_text(encoding="utf-8")
    assert "Unsupported: fewer than half" in unknown
    assert "<mark" not in unknown
