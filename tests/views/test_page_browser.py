"""The page in a real browser: nothing is wrong, nothing is loaded, and the keyboard works."""

import json
import os
from pathlib import Path

import pytest
from browser import chromium, tab
from page_cases import HOSTILE, page_ablation, page_result

from rh_lens.views import save_page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        chromium() is None, reason="no Chromium on PATH: the page is not opened in a browser"
    ),
]

AXE = os.environ.get("AXE_CORE", "")
CASES = {
    "plain": {},
    "hostile": {"text": HOSTILE},
    "not kept": {"text": HOSTILE, "stored": True},
    "10,000 trials": {"n_trials": 10_000},
    "one layer": {"shape": (1, 8), "nan": False},
    "80 x 64": {"shape": (80, 64), "n_kv_heads": 8},
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with tab(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Path of each case's page."""
    folder = tmp_path_factory.mktemp("pages")
    return {
        name: save_page(page_result(**options), folder / f"{place}.html", ablation=page_ablation())
        for place, (name, options) in enumerate(CASES.items())
    }


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("case", CASES)
def test_nothing_is_wrong_and_nothing_is_loaded(browser, pages, case, width, dark):
    browser.open(pages[case], width=width, dark=dark)
    assert browser.problems() == []
    assert browser.run("document.title") == "Retrieval heads of a model"
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("document.querySelectorAll('#context span').length") > 0


def test_the_policy_keeps_the_page_from_loading_anything(browser, pages):
    browser.open(pages["plain"])
    refused = "fetch('https://example.org/').then(() => false, () => true)"
    assert browser.run(refused) is True
    assert any("Content Security Policy" in one for one in browser.problems())


def test_arrow_keys_move_over_the_heat_map_and_the_line_below_tells(browser, pages):
    browser.open(pages["plain"])
    browser.run("document.querySelector('[data-chart=heat]').focus()")
    assert readout(browser).startswith("L2H3 · position score 0.667")
    for key, label in (("ArrowUp", "L1H3"), ("Home", "L1H0"), ("ArrowUp", "L0H0"),
                       ("ArrowLeft", "L0H0"), ("End", "L0H3"), ("PageDown", "L2H3")):  # fmt: skip
        for kind in ("keyDown", "keyUp"):
            browser.send("Input.dispatchKeyEvent", type=kind, key=key, code=key)
        assert readout(browser).startswith(label)


def test_the_pointer_chooses_the_cell_below_it(browser, pages):
    browser.open(pages["plain"])
    box = browser.run(
        "document.querySelector('[data-chart=heat]').scrollIntoView({behavior: 'instant'});"
        "JSON.stringify(document.querySelector('[data-chart=heat] svg').getBoundingClientRect())"
    )
    box = json.loads(box)
    for row, column in ((0, 0), (1, 2), (2, 3)):
        x = box["left"] + box["width"] * (column + 0.5) / 4
        y = box["top"] + box["height"] * (row + 0.5) / 3
        browser.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        assert readout(browser).startswith(f"L{row}H{column}")


def test_the_chosen_head_marks_what_it_copied(browser, pages):
    browser.open(pages["plain"])
    browser.run(
        "(() => { const c = document.getElementById('trial');"
        "c.value = [...c.options].find(o => o.text.includes('right')).value;"
        "c.dispatchEvent(new Event('change')); })()"
    )
    weights = (
        "[...document.querySelectorAll('#context .answer')]"
        ".map(s => s.style.getPropertyValue('--weight'))"
    )
    assert browser.run(weights) == ["0.75", "0.75", ""]
    told = browser.run("document.getElementById('copied').textContent")
    assert told == "L2H3 (score 0.667) copied at 2 of 3 steps."
    assert browser.run("document.querySelectorAll('#copies td.copied').length") == 2
    pressed = "document.querySelector('#copies [aria-pressed=true]').textContent"
    assert browser.run(pressed) == "L2H3"


@pytest.mark.skipif(
    not AXE, reason="AXE_CORE does not name axe-core's axe.min.js: accessibility is not checked"
)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("case", ["plain", "hostile", "one layer"])
def test_axe_finds_nothing(browser, pages, case, width, dark):
    browser.open(pages[case], width=width, dark=dark)
    browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    browser.run(f"{Path(AXE).read_text(encoding='utf-8')};0")
    found = browser.run(
        "axe.run(document).then((r) => r.violations.map((v) => [v.impact, v.id, v.nodes[0].html]))"
    )
    assert found == []


def readout(browser) -> str:
    return browser.run("document.getElementById('heat-readout').textContent")
