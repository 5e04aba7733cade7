"""`rh-lens evaluate`, as a user types it."""

import json
from pathlib import Path

import pandas as pd
import pytest

from rh_lens.cli import main
from rh_lens.runs import TaskFolder, load_ablation, load_evaluation
from rh_lens.views import plot_tasks, summarise

SMALL = ["--controls", "1", "--rankings", "2", "--scope", "decode", "--quiet"]


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A score file of the bundled model's four heads."""
    top = {(2, 4): 0.98, (2, 5): 0.97, (2, 3): 0.96, (2, 2): 0.93}
    table = {f"{at}-{head}": [top.get((at, head), 0.0)] for at in range(4) for head in range(8)}
    path = tmp_path_factory.mktemp("scores") / "head_scores.json"
    path.write_text(json.dumps(table))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, scores: Path) -> tuple[Path, str]:
    """One small run of the bundled model: its folder and what was printed."""
    out = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("builtins.print", lambda *text, **_: printed.append(" ".join(map(str, text))))
        words = ["evaluate", str(scores), "--limit", "4", "--top", "0,4", "--out", str(out)]
        assert main([*words, *SMALL]) == 0
    return out, "\n".join(printed)


def test_one_command_shows_that_reading_falls_under_the_top_heads(
    finished: tuple[Path, str],
) -> None:
    out, printed = finished
    stored = load_evaluation(out)
    curve = stored.tables.curve.set_index("k")
    assert curve.loc[0, "top"] > 0.9 > 0.2 > curve.loc[4, "top"]
    assert stored.tables.controls is not None
    assert stored.tables.controls["control"].iloc[0] > 0.8
    assert stored.description["left_out"] == {"too_long": 0, "known": 0}
    assert "squad: f1 with the top K heads silenced (4 items, 2 documents)" in printed
    assert f"Saved in {out}" in printed
    assert summarise(stored).splitlines()[0] in printed
    assert len(plot_tasks(stored).axes) == 1
    names = {path.name for path in out.iterdir()}
    assert {"run.json", "log", "tables", "curve.csv", "steps.csv", "breaks.csv"} <= names


def test_a_run_goes_on_and_another_one_is_refused(
    finished: tuple[Path, str], scores: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    out, _ = finished
    added: list[int] = []
    monkeypatch.setattr(TaskFolder, "add", lambda self, answers: added.append(len(answers)))
    words = ["evaluate", str(scores), "--limit", "4", "--out", str(out), *SMALL]
    assert main([*words, "--top", "0,4"]) == 0
    assert added == []
    assert "answers are in" in capsys.readouterr().err
    assert main([*words, "--top", "0,4", "--limit", "2"]) == 2
    assert "differs in" in capsys.readouterr().err
    with pytest.raises(ValueError, match="rh-lens ablate"):
        load_ablation(out)


@pytest.mark.slow
def test_own_data_asked_in_both_ways(
    scores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "own.jsonl"
    item = {"context": "The otter was violet.", "question": "What was it?", "answers": ["violet"]}
    rows = [item | {"id": name} for name in "ab"]
    data.write_text("\n".join(map(json.dumps, rows)))
    words = ["--task", "own", "--data", str(data), "--asked", "both", "--max-new-tokens", "8"]
    out = ["--out", str(tmp_path / "run"), "--top", "4", "--json"]
    assert main(["evaluate", str(scores), *words, *out, *SMALL]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [row["task"] for row in record["curve"]] == ["own-chain"] * 2 + ["own"] * 2
    assert record["ways"][0]["n_items"] == 2
    answers = pd.read_csv(tmp_path / "run" / "answers.csv")
    assert set(answers["task"]) == {"own-chain", "own"}


def test_a_bad_file_is_named_before_the_model_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "own.jsonl"
    data.write_text('{"question": "x", "answers": ["y"]}\n<html>')
    assert main(["evaluate", "--task", "own", "--data", str(data), "--model", "nowhere"]) == 2
    assert "scores of the heads of 'nowhere'" in capsys.readouterr().err
    assert main(["evaluate", "--task", "own", "--data", str(data)]) == 2
    assert "own.jsonl', line 2" in capsys.readouterr().err
