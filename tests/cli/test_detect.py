"""The command, as a user types it."""

import json
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from functools import cache
from typing import get_args

import pandas as pd
import pytest
import torch
from stored_runs import contents
from tolerances import double_rounding

from rh_lens import Head, RunFolder, prompts
from rh_lens.cli import detect, main, options
from rh_lens.demo import load_demo_model
from rh_lens.detection import ScoreName
from rh_lens.runs import load_run, read_scores
from rh_lens.runs.launcher import own_device
from rh_lens.runs.log import read_log

SMALL = ["--lengths", "144", "--depths", "4", "--quiet"]
LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK")


def start(*arguments, **variables):
    """The command as a process of its own, with as many threads as the tests have."""
    command = [sys.executable, "-m", "rh_lens", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, **pipes)


def run(*arguments):
    process = start(*arguments)
    printed, error = process.communicate()
    return subprocess.CompletedProcess(arguments, process.returncode, printed, error)


def count_trials(folder):
    return len(list((folder / "log").glob("0*")))


def assert_same_scores(folder, expected):
    for name in ("scores.csv", "head_scores.json"):
        assert (folder / name).read_bytes() == (expected / name).read_bytes()
    events = [pd.read_parquet(one / "events.parquet") for one in (folder, expected)]
    pd.testing.assert_frame_equal(*events, check_exact=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One small run of the bundled model, 48 prompts in two units: its folder."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(["detect", *SMALL, "--save-prompts", "--out", str(out)]) == 0
    return out


@pytest.fixture
def stop(tmp_path, monkeypatch):
    """Makes the same run end by Ctrl-C in its 20th trial; gives its folder."""
    add, out = RunFolder.add, tmp_path / "stopped"

    def add_then_stop(self, trial, events):
        add(self, trial, events)
        if len(self.done) == 20:
            raise KeyboardInterrupt

    def run_and_stop():
        with monkeypatch.context() as patch:
            patch.setattr(RunFolder, "add", add_then_stop)
            assert main(["detect", *SMALL, "--out", str(out)]) == 130
        return out

    return run_and_stop


@pytest.fixture(scope="module", autouse=True)
def each_model_and_haystack_is_loaded_once():
    """By their arguments, for the commands that run in this process."""
    load, loaded = options.load_model, {}

    def load_once(args):
        name = args.model, args.dtype, args.device
        if name not in loaded:
            loaded[name] = load(args)
        return loaded[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(options, "load_model", load_once)
        patch.setattr(prompts, "load_haystack", cache(prompts.load_haystack))
        yield


def test_help_answers_in_under_a_second():
    began = time.perf_counter()
    done = run("--help")
    assert time.perf_counter() - began < 1.0
    assert done.returncode == 0
    assert "detect" in done.stdout


def test_detect_writes_a_run_that_can_be_repeated(finished, tmp_path):
    description = json.loads((finished / "run.json").read_text())
    assert description["status"] == "finished"
    assert description["command"] == "detect"
    assert description["arguments"]["lengths"] == [144]
    assert description["model"]["name"] == "demo"
    assert description["n_prompts"] == 48
    again = tmp_path / "again"
    assert main(["detect", *SMALL, "--save-prompts", "--out", str(again)]) == 0
    for name in ("trials.jsonl", "scores.csv", "head_scores.json"):
        assert (again / name).read_bytes() == (finished / name).read_bytes()
    logs = [{path.name for path in (one / "log").glob("0*")} for one in (again, finished)]
    assert logs[0] == logs[1]
    begun = read_log(finished).description
    assert begun == {name: description[name] for name in begun}
    assert set(begun) > {"key", "arguments", "started", "model", "versions"}
    repeated = json.loads((again / "run.json").read_text())
    assert repeated["key"] == description["key"]
    assert repeated["model"] == description["model"]


def test_the_scores_are_those_of_the_trials(finished):
    lines = (finished / "trials.jsonl").read_text().split("\n")[:-1]
    trials = [json.loads(line) for line in lines]
    scores = json.loads((finished / "head_scores.json").read_text())
    table = pd.read_csv(finished / "scores.csv")
    n_accepted = sum(trial["accepted"] for trial in trials)
    assert {len(values) for values in scores.values()} == {n_accepted}
    best = Head.parse(table["label"][0])
    values = scores[f"{best.layer}-{best.head}"]
    allowed = double_rounding(n_accepted)
    assert sum(values) / len(values) == pytest.approx(table["score"][0], rel=allowed)
    assert all(len(trial["prompt_tokens"]) == 144 for trial in trials)


def test_detect_prints_trials_heads_and_shares(tmp_path, capsys):
    assert main(["detect", *SMALL, "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr().out
    assert "48 prompts: " in printed
    assert "Top heads by position score" in printed
    assert " of 32 heads (" in printed
    assert f"Saved in {tmp_path / 'run'}" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["detect", "--lengths", "many"], "expected lengths such as 128,256 or 4k, found 'many'"),
        (["detect", "--score", "best"], "invalid choice: 'best'"),
        (["detect", "--lengths", "128", "--needles", "no.jsonl"], "no.jsonl"),
        (["detect", "--lengths", "100000"], "Expected context lengths of 2016 tokens or fewer"),
        (["detect", "--haystack", "nowhere"], "nowhere"),
        (["detect", "--template", "no fields"], "{context}"),
        (["detect", "--shard", "2"], "Expected a shard such as 2/8; found '2'"),
        (["detect", "--shard", "1/2"], "Expected --out for shard 1/2"),
        (["merge", "nowhere"], "Expected a run folder"),
        (["merge", "one", "two"], "Expected --out for 2 folders"),
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


def test_a_finished_run_is_printed_and_not_run_again(finished, capsys, monkeypatch):
    monkeypatch.setattr(RunFolder, "add", None)
    before = contents(finished)
    assert main(["detect", *SMALL, "--out", str(finished)]) == 0
    printed = capsys.readouterr()
    assert f"{finished} holds this run already: nothing to answer." in printed.err
    assert "48 prompts: " in printed.out
    assert before == contents(finished)


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["--score", "event"], ["options.score: 'position' there, 'event' here"]),
        (["--dtype", "bfloat16"], ["model.dtype: 'float32' there, 'bfloat16' here"]),
        (["--seed", "1"], ["prompts.sha256: '", "arguments.seed: 0 there, 1 here"]),
    ],
)
def test_another_run_is_refused_with_what_differs(finished, capsys, arguments, messages):
    before = (finished / "run.json").read_bytes()
    assert main(["detect", *SMALL, *arguments, "--out", str(finished)]) == 2
    error = capsys.readouterr().err
    assert "Expected the run in" in error
    assert all(message in error for message in messages)
    assert (finished / "run.json").read_bytes() == before


def test_a_folder_with_other_files_is_refused(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["detect", *SMALL, "--out", str(tmp_path)]) == 2
    assert "Expected a new or empty folder" in capsys.readouterr().err


def test_a_model_that_retrieves_nothing_keeps_its_trials(tmp_path, capsys):
    out = tmp_path / "run"
    template = "{context} {question} Say something else:"
    needles = tmp_path / "needles.jsonl"
    needles.write_text(
        json.dumps({"question": "Who?", "needle": "Zyx qux.", "real_needle": "Zyx qux"}) + "\n"
    )
    rest = ["--template", template, "--needles", str(needles), "--out", str(out)]
    for _ in range(2):
        assert main(["detect", *SMALL, *rest]) == 1
        assert "no result" in capsys.readouterr().err
        assert count_trials(out) == 4
    assert json.loads((out / "run.json").read_text())["status"] == "finished"


def test_ctrl_c_keeps_the_trials_and_the_same_command_goes_on(finished, stop, capsys):
    stopped = stop()
    printed = capsys.readouterr().err
    assert f"20 of 48 prompts are answered in {stopped}; the same command" in printed
    assert printed.endswith("rh-lens: stopped\n")
    assert count_trials(stopped) == 20
    assert main(["detect", *SMALL, "--out", str(stopped)]) == 0
    assert f"20 of 48 prompts are answered in {stopped}; going on." in capsys.readouterr().err
    assert_same_scores(stopped, finished)


def test_scores_are_read_from_runs_that_are_over_and_from_files(finished, stop, tmp_path, capsys):
    stopped = stop()
    scores = read_scores(finished)
    assert torch.equal(scores.values, load_run(finished).scores.values)
    assert scores.name == "position"
    file = read_scores(finished / "head_scores.json")
    allowed = double_rounding(48)
    torch.testing.assert_close(file.mean(), scores.mean(), rtol=allowed, atol=0)
    with pytest.raises(ValueError, match="one that is 'stopped', with 28 of 48 prompts to answer"):
        read_scores(stopped)
    assert main(["merge", str(stopped)]) == 2
    assert "found one run" in capsys.readouterr().err
    assert main(["merge", str(stopped), "--out", str(tmp_path / "part")]) == 2
    assert main(["merge", str(stopped), "--partial", "--out", str(tmp_path / "part")]) == 0
    assert read_scores(tmp_path / "part").values.shape[0] <= 20


@pytest.mark.slow
def test_processes_of_a_launcher_share_a_run_and_survive_kill_9(finished, tmp_path, capsys):
    """Two processes take a unit each; one is killed in the middle, and its command is repeated."""
    out = tmp_path / "run"
    processes = [
        start("detect", *SMALL, "--out", str(out), RANK=rank, LOCAL_RANK=rank, WORLD_SIZE="2")
        for rank in ("0", "1")
    ]
    victim = out / "shard-1-of-2"
    while count_trials(victim) < 5 and processes[0].poll() is None:
        time.sleep(0.002)
    processes[0].send_signal(signal.SIGKILL)
    assert processes[0].wait() == -signal.SIGKILL
    for process in processes:
        printed, error = process.communicate()
    assert (process.returncode, error) == (0, "")
    assert "Shard 2/2: 16 prompts are answered" in printed
    n_before = count_trials(victim)
    assert 5 <= n_before < 32
    assert json.loads((victim / "run.json").read_text())["status"] == "running"
    assert main(["merge", str(out)]) == 2
    assert f"found that {32 - n_before} are missing" in capsys.readouterr().err

    assert main(["detect", *SMALL, "--out", str(out), "--shard", "1/2"]) == 0
    assert f"{n_before} of 32 prompts are answered in {victim}; going on" in capsys.readouterr().err
    assert main(["merge", str(out)]) == 0
    assert "48 prompts: " in capsys.readouterr().out
    assert_same_scores(out, finished)


def test_a_process_takes_its_shard_and_its_gpu_from_its_launcher(monkeypatch):
    def shard(*arguments, **variables):
        for name in LAUNCHER:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        args = _parse("--out", "runs", *arguments)
        is_bundled = args.model == "demo" and args.device is None
        return str(options.shard_of(args)), None if is_bundled else own_device(args.device)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("rh_lens.runtime.require_device", torch.device)
    launched = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    assert shard() == ("None", None)
    assert shard("--device", "cuda") == ("None", "cuda")
    assert shard("--device", "cuda", **launched) == ("6/8", "cuda:1")
    assert shard("--model", "gpt2", **launched) == ("6/8", "cuda:1")
    assert shard("--device", "cuda:7", **launched) == ("6/8", "cuda:7")
    assert shard(**launched) == ("6/8", None)  # the bundled model stays on the CPU
    assert shard("--shard", "2/3", **launched)[0] == "2/3"
    assert shard("--shard", "1/1", **launched)[0] == "None"
    assert shard(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0") == ("None", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert shard("--device", "cuda", **launched)[1] == "cuda"


def _parse(*arguments):
    import argparse

    parser = argparse.ArgumentParser()
    detect.add(parser)
    return parser.parse_args(arguments)


def test_the_command_knows_the_scores_that_there_are():
    assert get_args(ScoreName) == detect.SCORES


def test_prompts_leave_room_for_long_answers(tmp_path, capsys):
    """A needle whose answer takes over 21 tokens gets one and a half times as many."""
    answer = "seven brass thimbles, " * 12 + "and a heron"
    needles = tmp_path / "needles.jsonl"
    line = {"question": "What?", "text": f"It is {answer}.", "answer": answer}
    needles.write_text(json.dumps(line) + "\n")
    fits = ["detect", "--needles", str(needles), "--depths", "1", "--lengths"]
    assert main([*fits, "2016"]) == 2
    error = capsys.readouterr().err
    room = 2048 - int(error.split("context lengths of ")[1].split()[0])
    assert 32 < room < 300
    assert "found [2016]" in error


def test_questions_without_the_haystack_end_where_the_runs_answers_do(monkeypatch):
    stops = []

    def check(model, needles, *, template, stop):
        stops.append(stop)
        return ()

    monkeypatch.setattr("rh_lens.detection.closed_book_check", check)
    model = load_demo_model()
    for words in (["goose"], ["none"], []):
        detect._unknown(Namespace(stop=words, json=False), model, [], None)
    assert [stop and stop.strings for stop in stops] == [("goose",), (), None]
