import json
import re

import pytest
from transformers import AutoTokenizer

from rh_lens.cli import main
from rh_lens.runs import load_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the bundled model: twelve prompts whose tokens are kept."""
    folder = tmp_path_factory.mktemp("show") / "run"
    options = ["--lengths", "128", "--depths", "1", "--save-prompts", "--quiet"]
    assert main(["detect", *options, "--out", str(folder)]) == 0
    return folder


def data_of(page):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(found[1])


def test_the_page_has_the_runs_scores_tokens_and_command(run, tmp_path, capsys):
    out = tmp_path / "new" / "report.html"
    assert main(["show", str(run), "--out", str(out), "--trials", "3"]) == 0
    assert capsys.readouterr().out == f"Saved in {out}: open it in a browser.\n"
    page, stored = out.read_text(encoding="utf-8"), load_run(run)
    best = stored.scores.top(1)[0]
    score = float(stored.scores.mean()[best.layer, best.head])
    (view,) = data_of(page)["trials"]
    assert f"{best.label} · position score {score:.3f}" in page
    assert "Retrieval heads of the bundled model" in page
    assert "rh-lens detect --model demo" in page
    assert stored.description["model"]["weights_sha256"] in page
    trial = next(one for one in stored.trials if one.index == 3)
    assert "".join(view["said"]) == trial.text
    answer = "".join(text for text, role, _ in view["context"] if role == "answer")
    assert answer.strip() == trial.prompt.needle.answer


def test_without_the_runs_tokenizer_the_page_is_made_and_the_command_says_so(
    run, tmp_path, capsys, monkeypatch
):
    def none(*args, **options):
        raise OSError("it is not on this disk")

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", none)
    out = tmp_path / "report.html"
    assert main(["show", str(run), "--out", str(out), "--title", "a <b>"]) == 0
    said = capsys.readouterr().err
    assert "without the tokenizer of 'demo' (it is not on this disk)" in said
    page = out.read_text(encoding="utf-8")
    assert "Retrieval heads of a &lt;b&gt;" in page
    assert any("⟨" in text for view in data_of(page)["trials"] for text in view["said"])


def test_what_is_read_is_not_written_over(run, capsys):
    assert main(["show", str(run), "--out", str(run / "run.json")]) == 2
    assert "Expected --out to name a file that is not read" in capsys.readouterr().err


def test_a_folder_without_a_run_or_an_unknown_trial_is_said_in_a_line(run, tmp_path, capsys):
    out = ["--out", str(tmp_path / "report.html")]
    assert main(["show", str(tmp_path / "none"), *out]) == 2
    assert main(["show", str(run), *out, "--trials", "99"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "Expected a run" in first
    assert "indices up to 11; found [99]" in second
    assert not (tmp_path / "report.html").exists()
