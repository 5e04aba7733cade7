"""Every tutorial runs, and prints what is stored in it."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from run_tutorials import TUTORIALS, executed

NOTEBOOKS = sorted(TUTORIALS.glob("*.ipynb"))
# Printed with two or three decimals: rounding on another processor may turn one head's copy.
ABSOLUTE, RELATIVE = 0.02, 0.02
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?")


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def texts(cell: Any) -> list[str]:
    """What a cell printed, in however many pieces, and what it showed, without addresses."""
    outputs = cell.get("outputs", [])
    printed = "".join(one.get("text", "") for one in outputs)
    showed = [one.get("data", {}).get("text/plain", "") for one in outputs if "data" in one]
    return [re.sub(r"0x[0-9a-f]+", "", text) for text in (printed, *showed)]


def numbers(text: str) -> list[float]:
    return [float(one) for one in NUMBER.findall(text)]


def test_there_is_one_for_each_question():
    assert [path.stem[0] for path in NOTEBOOKS] == list("1234567")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_small_whole_and_says_what_figures_do_not_show(path):
    notebook = read(path)
    assert path.stat().st_size < 500_000
    assert not any(one.get("output_type") == "error" for cell in notebook.cells
                   for one in cell.get("outputs", []))  # fmt: skip
    assert all("plotly" not in str(one.get("data", {}).keys()) for cell in notebook.cells
               for one in cell.get("outputs", []))  # fmt: skip
    figures = 0
    for place, cell in enumerate(notebook.cells):
        if any("image/png" in one.get("data", {}) for one in cell.get("outputs", [])):
            figures += 1
            assert "**Claim.**" in notebook.cells[place - 1].source
            assert "**What it does not show.**" in notebook.cells[place + 1].source
    assert figures >= 1


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_prints_what_is_stored(path):
    stored, now = read(path), executed(path)
    for place, (before, after) in enumerate(zip(stored.cells, now.cells, strict=True)):
        for text, again in zip(texts(before), texts(after), strict=True):
            assert NUMBER.sub("#", text).split() == NUMBER.sub("#", again).split(), place
            assert numbers(again) == pytest.approx(numbers(text), abs=ABSOLUTE, rel=RELATIVE), (
                f"cell {place}"
            )
