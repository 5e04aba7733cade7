"""What commands print for programs, and when nobody watches."""

import argparse
import io
import json
import sys

import pytest

from rh_lens.cli import main
from rh_lens.cli.output import draws_characters, print_record, shows_progress

NEEDLES = "tests/four_needles.jsonl"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("json") / "run"


@pytest.fixture(scope="module")
def printed(folder):
    """What `detect --json` prints."""
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        arguments = ["--lengths", "128", "--depths", "1", "--needles", NEEDLES, "--json"]
        assert main(["detect", *arguments, "--out", str(folder)]) == 0
    return out.getvalue()


def test_detect_prints_all_heads_best_first(printed, folder):
    found = json.loads(printed)
    assert found["out"] == str(folder)
    assert (found["score"], found["threshold"], found["n_prompts"]) == ("position", 0.1, 4)
    scores = [head["score"] for head in found["heads"]]
    assert len(scores) == 32
    assert scores == sorted(scores, reverse=True)
    best = [head["label"] for head in found["heads"] if head["score"] >= 0.1]
    assert found["retrieval_heads"] == best
    assert set(best) == {"L2H2", "L2H3", "L2H4", "L2H5"}


def test_no_progress_bar_without_a_terminal(printed, capfd, folder):
    assert main(["detect", "--lengths", "128", "--depths", "1", "--needles", NEEDLES, "--out",
                 str(folder)]) == 0  # fmt: skip
    output = capfd.readouterr()
    assert "it/s" not in output.err
    assert "%|" not in output.err
    assert "█" not in output.out


def test_audit_and_compare_print_their_records(printed, folder, capsys):
    assert main(["audit", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_samples"] == 4
    arguments = [f"a={folder}", f"b={folder}", "--permutations", "5", "--json"]
    assert main(["compare", *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["retrieval_heads"]["a"] == found["retrieval_heads"]["b"]
    (pair,) = found["pairs"]
    assert (pair["a"], pair["b"]) == ("a", "b")
    assert pair["pearson"] == pytest.approx(1.0)


def test_show_and_merge_print_where_and_what(printed, folder, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["show", str(folder), "--json", "--out", str(page)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["out"], found["run"]) == (str(page), str(folder))
    assert (found["prompts"], found["accepted"], found["open"]) == (4, 4, 0)
    assert main(["merge", str(folder), "--json", "--out", str(tmp_path / "whole")]) == 0
    merged = json.loads(capsys.readouterr().out)
    assert merged["n_missing"] == 0
    assert merged["out"] == str(tmp_path / "whole")
    assert {**merged, "out": 0, "n_missing": 0} == {**json.loads(printed), "out": 0, "n_missing": 0}


@pytest.mark.slow
def test_ablate_prints_its_tables(printed, folder, tmp_path, capsys):
    arguments = ["--lengths", "128", "--depths", "1", "--needles", NEEDLES, "--top", "4"]
    arguments += ["--controls", "0", "--rankings", "0", "--json", "--out", str(tmp_path / "out")]
    assert main(["ablate", str(folder), *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["k"] for row in found["curve"]] == [0, 4]
    assert found["curve"][0]["top"] == 1.0
    assert found["curve"][1]["top"] < 0.5
    # No test was made: NaN is no JSON.
    assert found["curve"][0]["p_heads"] is None


def test_a_record_is_json_whatever_it_holds(capsys):
    import numpy as np
    import pandas as pd

    args = argparse.Namespace(json=True)
    print_record(args, a=np.float64("nan"), b=[np.int64(3), pd.NA], c={"d": (1.5, None)}, e="ä")
    text = capsys.readouterr().out
    assert json.loads(text) == {"a": None, "b": [3, None], "c": {"d": [1.5, None]}, "e": "ä"}
    print_record(argparse.Namespace(json=False), a=1)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("is_terminal", "quiet", "shown"),
    [(True, False, True), (True, True, False), (False, False, False)],
)
def test_progress_is_for_terminals(monkeypatch, is_terminal, quiet, shown):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)
    assert shows_progress(argparse.Namespace(quiet=quiet)) is shown


@pytest.mark.parametrize(("encoding", "draws"), [("utf-8", True), ("ascii", False)])
def test_characters_are_for_terminals_that_know_them(monkeypatch, encoding, draws):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    assert not draws_characters()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    assert draws_characters() is draws
