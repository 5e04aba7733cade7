"""The command behind `rh-lens detect --compat official`."""

import argparse
import errno
import json

import pandas as pd
import pytest

from rh_lens import load_haystack
from rh_lens.analysis import audit_scores
from rh_lens.cli import main, official, options
from rh_lens.demo import load_demo_model
from rh_lens.prompts import build_grid, default_needles
from rh_lens.records import read_head_scores, reserve_folder


@pytest.fixture(scope="module")
def model():
    return load_demo_model()


@pytest.fixture(scope="module")
def prompts(model):
    haystack = load_haystack("synthetic", seed=0)
    return build_grid(
        model.tokenizer, haystack, default_needles()[:6], context_lengths=[128], depths=1
    )


@pytest.fixture
def args(monkeypatch):
    monkeypatch.setattr(options, "describe_run", lambda command, *rest: {"command": command})
    return argparse.Namespace(threshold=0.1, max_new_tokens=None, quiet=True)


def test_scores_and_spans_are_written_and_the_missed_needles_told(
    args, model, prompts, tmp_path, capsys
):
    assert official.run(args, model, prompts, tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert "Top heads by official score" in printed
    trials = pd.read_csv(tmp_path / "out" / "official_trials.csv")
    missed = int(trials["official_start"].isna().sum())
    assert f"not found by their tokens: {missed} of 6 accepted" in printed
    scores = read_head_scores(tmp_path / "out" / "head_scores.json")
    assert scores.values.shape == (6, 4, 8)
    assert audit_scores(scores).n_zero_samples == missed == 6 - len(trials.dropna())
    description = json.loads((tmp_path / "out" / "official.json").read_text())
    assert description["command"] == "detect"
    assert len(pd.read_csv(tmp_path / "out" / "scores.csv")) == 32


def test_a_folder_that_will_not_do_is_refused_before_the_model(tmp_path, capsys):
    (tmp_path / "old.txt").write_text("results")
    arguments = ["detect", "--compat", "official", "--model", "nowhere", "--out"]
    assert main([*arguments, str(tmp_path)]) == 2
    assert "Expected a new or empty folder; found files in" in capsys.readouterr().err
    assert main([*arguments, str(tmp_path / "old.txt")]) == 2
    assert "it is impossible: " in capsys.readouterr().err
    with reserve_folder(tmp_path / "run"):
        assert main([*arguments, str(tmp_path / "run")]) == 2
    assert "Expected no other process to write to the run" in capsys.readouterr().err


def test_on_a_full_disk_the_result_is_printed_first(
    args, model, prompts, tmp_path, monkeypatch, capsys
):
    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("rh_lens.records.replacing", full)
    with pytest.raises(OSError, match="No space left on device"):
        official.run(args, model, prompts, tmp_path / "out")
    printed = capsys.readouterr().out
    assert "Top heads by official score" in printed
    assert "Saved in" not in printed
