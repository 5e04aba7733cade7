"""The command, as a user types it."""

import json
import subprocess
import sys
import time

import pandas as pd
import pytest

from rh_lens import Head, RunFolder
from rh_lens.cli import main

SMALL = ["--lengths", "128", "--depths", "2", "--quiet"]


def run(*arguments):
    command = [sys.executable, "-m", "rh_lens", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One small run of the bundled model: its folder."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(["detect", *SMALL, "--save-prompts", "--out", str(out)]) == 0
    return out


def test_help_answers_in_under_a_second():
    start = time.perf_counter()
    done = run("--help")
    assert time.perf_counter() - start < 1.0
    assert done.returncode == 0
    assert "detect" in done.stdout


def test_detect_writes_a_run_that_can_be_repeated(finished, tmp_path):
    description = json.loads((finished / "run.json").read_text())
    assert description["status"] == "finished"
    assert description["command"] == "detect"
    assert description["arguments"]["lengths"] == [128]
    assert description["model"]["name"] == "demo"
    assert description["n_prompts"] == 24
    again = tmp_path / "again"
    assert main(["detect", *SMALL, "--save-prompts", "--out", str(again)]) == 0
    for name in ("trials.jsonl", "scores.csv", "head_scores.json"):
        assert (again / name).read_bytes() == (finished / name).read_bytes()
    repeated = json.loads((again / "run.json").read_text())
    assert repeated["prompts_sha256"] == description["prompts_sha256"]
    assert repeated["model"] == description["model"]


def test_the_scores_are_those_of_the_trials(finished):
    trials = [json.loads(line) for line in (finished / "trials.jsonl").read_text().splitlines()]
    scores = json.loads((finished / "head_scores.json").read_text())
    table = pd.read_csv(finished / "scores.csv")
    n_accepted = sum(trial["accepted"] for trial in trials)
    assert {len(values) for values in scores.values()} == {n_accepted}
    best = Head.parse(table["label"][0])
    values = scores[f"{best.layer}-{best.head}"]
    assert sum(values) / len(values) == pytest.approx(table["score"][0], abs=1e-12)
    assert all(len(trial["prompt_tokens"]) == 128 for trial in trials)


def test_detect_prints_trials_heads_and_shares(tmp_path, capsys):
    assert main(["detect", *SMALL, "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr().out
    assert "24 prompts: " in printed
    assert "Top heads by position score" in printed
    assert " of 32 heads (" in printed
    assert f"Saved in {tmp_path / 'run'}" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["detect", "--lengths", "many"], "expected lengths such as 128,256, found 'many'"),
        (["detect", "--score", "best"], "invalid choice: 'best'"),
        (["detect", "--lengths", "128", "--needles", "no.jsonl"], "no.jsonl"),
        (["detect", "--lengths", "100000"], "Expected context lengths of 2016 tokens or fewer"),
        (["detect", "--haystack", "nowhere"], "nowhere"),
        (["detect", "--template", "no fields"], "{context}"),
    ],
)
def test_bad_arguments_get_one_line_and_exit_code_2(arguments, message, capsys):
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert "Traceback" not in error


def test_a_used_folder_is_refused_before_anything_is_asked(finished, capsys):
    before = (finished / "trials.jsonl").read_bytes()
    assert main(["detect", *SMALL, "--out", str(finished)]) == 2
    assert "Expected a new or empty folder" in capsys.readouterr().err
    assert (finished / "trials.jsonl").read_bytes() == before


def test_a_model_that_retrieves_nothing_keeps_its_trials(tmp_path, capsys):
    out = tmp_path / "run"
    template = "{context} {question} Say something else:"
    needles = tmp_path / "needles.jsonl"
    needles.write_text(
        json.dumps({"question": "Who?", "needle": "Zyx qux.", "real_needle": "Zyx qux"}) + "\n"
    )
    code = main(
        ["detect", *SMALL, "--template", template, "--needles", str(needles), "--out", str(out)]
    )
    assert code == 1
    assert "no result" in capsys.readouterr().err
    assert len((out / "trials.jsonl").read_text().splitlines()) == 2
    assert json.loads((out / "run.json").read_text())["status"] == "stopped"


def test_ctrl_c_stops_with_130_and_keeps_the_trials(tmp_path, monkeypatch, capsys):
    add = RunFolder.add

    def add_then_stop(self, trial, events):
        add(self, trial, events)
        raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "add", add_then_stop)
    out = tmp_path / "run"
    assert main(["detect", *SMALL, "--out", str(out)]) == 130
    assert "stopped" in capsys.readouterr().err
    assert len((out / "trials.jsonl").read_text().splitlines()) == 1
