"""`rh-lens detect --compat official`: a run folder like any other, and two files more."""

import errno
import json
import shutil
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from stored_runs import contents

from rh_lens import RunFolder
from rh_lens import prompts as prompt_room
from rh_lens.analysis import audit_scores
from rh_lens.cli import main, options
from rh_lens.demo import load_demo_model
from rh_lens.files import replacing
from rh_lens.formats import read_head_scores
from rh_lens.runs import load_run, read_scores

NEEDLES = str(Path(__file__).parents[1] / "four_needles.jsonl")
SMALL = ["detect", "--needles", NEEDLES, "--lengths", "128", "--depths", "1", "--quiet"]
OFFICIAL = [*SMALL, "--compat", "official"]
PRODUCTS = "head_scores.json", "official_trials.csv", "scores.csv"
N_PROMPTS, N_STOPPED = 4, 2


@pytest.fixture(scope="module", autouse=True)
def the_model_and_the_haystack_are_loaded_once():
    model = load_demo_model()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(options, "load_model", lambda args: model)
        patch.setattr(prompt_room, "load_haystack", cache(prompt_room.load_haystack))
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("official") / "run"
    assert main([*OFFICIAL, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """The same run, ended by Ctrl-C in its second trial."""
    add, out = RunFolder.add, tmp_path_factory.mktemp("interrupted") / "run"

    def add_then_stop(self, trial, events):
        add(self, trial, events)
        if len(self.done) == N_STOPPED:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "add", add_then_stop)
        assert main([*OFFICIAL, "--out", str(out)]) == 130
    return out


@pytest.fixture
def stopped(interrupted, tmp_path):
    """A copy of that run."""
    return Path(shutil.copytree(interrupted, tmp_path / "stopped"))


def assert_same_products(folder, expected):
    for name in PRODUCTS:
        assert (folder / name).read_bytes() == (expected / name).read_bytes()


def test_scores_and_spans_are_written_and_the_missed_needles_told(tmp_path, capsys):
    out = tmp_path / "run"
    assert main([*OFFICIAL, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "Top heads by official score" in printed
    trials = pd.read_csv(out / "official_trials.csv")
    missed = int(trials["official_start"].isna().sum())
    assert f"not found by their tokens: {missed} of {N_PROMPTS} accepted" in printed
    scores = read_head_scores(out / "head_scores.json")
    assert scores.values.shape == (N_PROMPTS, 4, 8)
    assert audit_scores(scores).n_zero_samples == missed == N_PROMPTS - len(trials.dropna())
    description = json.loads((out / "official.json").read_text())
    assert description["command"] == "detect"
    assert description["key"]["options"]["max_new_tokens"] == 50
    assert len(pd.read_csv(out / "scores.csv")) == 32


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(finished, stopped, capsys):
    assert not (stopped / "head_scores.json").exists()
    begun = {path.name for path in (stopped / "log").glob("0*")}
    capsys.readouterr()
    assert main([*OFFICIAL, "--out", str(stopped)]) == 0
    printed = capsys.readouterr()
    assert f"{N_STOPPED} of {N_PROMPTS} prompts are answered in {stopped}; going on." in printed.err
    assert len(begun) == N_STOPPED
    assert begun < {path.name for path in (stopped / "log").glob("0*")}
    assert_same_products(stopped, finished)


def test_a_finished_run_is_not_answered_again(finished, capsys):
    before = contents(finished)
    assert main([*SMALL, "--score", "official", "--out", str(finished)]) == 0
    assert "holds this run already: nothing to answer" in capsys.readouterr().err
    assert contents(finished) == before


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (["--threshold", "0.2"], "options.threshold: 0.1 there, 0.2 here"),
        (["--max-new-tokens", "40"], "options.max_new_tokens: 50 there, 40 here"),
        (["--stop", "none"], "options.stop.token_ids: "),
    ],
)
def test_other_options_are_refused_by_their_names(stopped, other, difference, capsys):
    assert main([*OFFICIAL, *other, "--out", str(stopped)]) == 2
    assert difference in capsys.readouterr().err


def test_a_run_by_another_score_is_refused(stopped, capsys):
    assert main([*SMALL, "--out", str(stopped)]) == 2
    assert "options.score: 'official' there, 'position' here" in capsys.readouterr().err


def test_shards_merge_to_the_run_of_one_process(finished, tmp_path, capsys):
    out = tmp_path / "shards"
    for number in (1, 2):
        assert main([*OFFICIAL, "--shard", f"{number}/2", "--out", str(out)]) == 0
    assert main(["merge", str(out)]) == 0
    assert "Top heads by official score" in capsys.readouterr().out
    # Where the answers were found takes the tokenizer, which `merge` has not.
    assert main([*OFFICIAL, "--out", str(out)]) == 0
    assert "Answers not found by their tokens" in capsys.readouterr().out
    assert_same_products(out, finished)


def test_a_stored_run_has_the_official_score_and_those_of_its_events(finished):
    run = load_run(finished)
    assert run.scores.name == "official"
    assert run.scores.values.equal(read_head_scores(finished / "head_scores.json").values)
    position, official = run.score("position").mean(), run.scores.mean()
    assert position.max() > official.max()
    assert read_scores(finished).top(3) == run.scores.top(3)


def test_on_a_full_disk_the_result_is_printed_first_and_the_answers_stay(
    finished, tmp_path, monkeypatch, capsys
):
    def full(path):
        if path.name == "official.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        return replacing(path)

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("rh_lens.files.replacing", full)
        assert main([*OFFICIAL, "--out", str(out)]) != 0
    printed = capsys.readouterr()
    assert "Top heads by official score" in printed.out
    assert "Saved in" not in printed.out
    assert "no space left on device" in printed.err
    assert main([*OFFICIAL, "--out", str(out)]) == 0
    assert "nothing to answer" in capsys.readouterr().err
    assert_same_products(out, finished)
