"""The documentation's pages: their code runs, their commands exist, their links lead somewhere."""

import ast
import re
import sys

import pytest
import written_code
import yaml
from written_code import DOCS, ROOT

from rh_lens import cli

PAGES = sorted(DOCS.glob("**/*.md"))
READERS = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
READY = DOCS / "api" / "index.md"  # run by `ready_names`
# Made of files elsewhere when the documentation is built.
MADE = {
    "index.md",
    "api/names.md",
    "contributing.md",
    "changelog.md",
    "model_card.md",
    "scholar_card.md",
}


def name_of(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", READERS, ids=name_of)
def test_commands_have_the_options_that_pages_give_them(path):
    for language, content in written_code.fenced(path.read_text(encoding="utf-8")):
        for arguments in written_code.commands(content) if language == "sh" else []:
            cli._parser().parse_args(arguments)


@pytest.mark.parametrize("path", READERS, ids=name_of)
def test_links_lead_to_files(path):
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
        target = (path.parent / link).resolve()
        is_made = DOCS in target.parents and str(target.relative_to(DOCS)) in MADE
        assert "://" in link or is_made or (path.parent / link).exists(), link


def test_all_pages_are_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"[\w/]+\.md", text.split("nav:")[1]))
    assert named == {str(path.relative_to(DOCS)) for path in PAGES} | MADE


def test_formulas_of_docstrings_can_be_drawn(monkeypatch):
    pytest.importorskip("markdown")
    monkeypatch.setattr(sys, "path", [*sys.path, str(DOCS / "building")])
    from formulas import FORMULA, mathml

    drawn = {formula: "".join(mathml(formula).itertext()) for formula in formulas(FORMULA)}
    assert len(drawn) > 100
    assert drawn["m \\pm 1"] == "m±1"
    assert drawn["x^2 / \\frac12"] == "x2/12"
    assert not [formula for formula, text in drawn.items() if "\\" in text]


def formulas(pattern):
    """Every formula of a docstring or page, and two to know the drawing of."""
    texts = [path.read_text(encoding="utf-8") for path in PAGES]
    for path in (ROOT / "rh_lens").glob("**/*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
        documented = (node for node in ast.walk(tree) if isinstance(node, kinds))
        texts += [ast.get_docstring(node) or "" for node in documented]
    plain = (re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL) for text in texts)
    found = {one for text in plain for one in re.findall(pattern, text)}
    return found | {"m \\pm 1", "x^2 / \\frac12"}


def test_the_citation_can_be_read():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert f'version = "{citation["version"]}"' in project
    assert f'name = "{citation["authors"][0]["name"]}"' in project


@pytest.fixture(scope="module")
def ready():
    return written_code.ready_names()


@pytest.mark.slow
@pytest.mark.parametrize("path", [one for one in PAGES if one != READY], ids=name_of)
def test_a_page_prints_what_it_says(path, ready, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert written_code.run_page(path.read_text(encoding="utf-8"), dict(ready)) == []
