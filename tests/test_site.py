"""The built documentation: no warnings, nothing fetched from anywhere, readable in a browser."""

import os
import re
import subprocess
import sys

import api_page
import pytest
import site_check
import written_code
from browser import chromium, tab
from written_code import ROOT

pytestmark = pytest.mark.slow
pytest.importorskip("mkdocstrings")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, "WARNING" in done.stderr) == (0, False), done.stderr
    return folder


def test_nothing_is_fetched_from_outside(site):
    assert site_check.problems(site) == []


def test_an_outside_reference_would_be_seen(tmp_path):
    (tmp_path / "a.html").write_text('<script src="https://cdn.example/x.js"></script>')
    (tmp_path / "b.css").write_text('@import "https://fonts.example/css";')
    assert len(site_check.problems(tmp_path)) == 2


def test_every_public_function_is_on_its_rooms_page(site):
    for room in api_page.rooms():
        text = (site / "api" / f"{room}.html").read_text(encoding="utf-8")
        shown = set(re.findall(rf'id="rh_lens\.{re.escape(room)}\.(?:\w+\.)?(\w+)"', text))
        assert written_code.public_functions(room).keys() - shown == set()
        assert "&gt;&gt;&gt; " in text


@pytest.mark.skipif(chromium() is None, reason="no Chromium on PATH")
def test_pages_open_in_a_browser_from_the_disk(site, tmp_path):
    with tab(tmp_path) as browser:
        for page in ("index.html", "concepts/scores.html", "api/circuits.html"):
            for width in (390, 1280):
                browser.open(site / page, width=width, dark=width == 390)
                assert browser.problems() == []
                assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run("document.querySelectorAll('math').length") > 20
