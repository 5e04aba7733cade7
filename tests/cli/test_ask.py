"""`rh-lens ask`, as a user types it."""

import json

import pytest
import torch

from rh_lens import write_head_scores
from rh_lens.cli import main
from rh_lens.detection import RetrievalScores

QUESTION = "What do the Orrin sisters call the cat?"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Scores of which four heads of layer 2 are above 0, and a document."""
    folder = tmp_path_factory.mktemp("ask")
    values = torch.zeros(1, 4, 8, dtype=torch.double)
    values[0, 2, 2:6] = torch.tensor([0.9, 0.8, 1.0, 0.7])
    write_head_scores(RetrievalScores(values, "position", (0,)), folder / "scores.json")
    document = folder / "document.txt"
    document.write_text("It rained. The Orrin sisters call the cat Baron Turnip. Nobody came.")
    return str(folder / "scores.json"), str(document)


def test_the_answer_comes_with_its_source_in_json_and_as_a_page(files, tmp_path, capsys):
    scores, document = files
    words = ["ask", scores, QUESTION, "--document", document, "--heads", "3"]
    assert main([*words, "--json", "--out", str(tmp_path / "new" / "a.html")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["answer"] == "Baron Turnip."
    assert found["heads"] == ["L2H4", "L2H2", "L2H3"]
    (source,) = found["sources"]
    assert 0.8 < source.pop("support") <= 1
    assert source == {"start": 42, "stop": 54, "text": "Baron Turnip"}
    assert found["unsupported"] is False
    assert "Baron Turnip" in (tmp_path / "new" / "a.html").read_text()


def test_piped_text_has_no_colours(files, capsys):
    scores, document = files
    assert main(["ask", scores, QUESTION, "--document", document]) == 0
    out = capsys.readouterr().out
    assert "[[Baron Turnip]]" in out
    assert "\x1b" not in out


def test_what_is_read_is_not_written_over(files, capsys):
    scores, document = files
    assert main(["ask", scores, QUESTION, "--document", document, "--out", document]) == 2
    assert "Expected --out to name a file that is not read" in capsys.readouterr().err
    assert main(["ask", scores, QUESTION, "--document", "no-such-file"]) == 2
    assert "Expected a document; found no file" in capsys.readouterr().err
