"""What the command must never do: end silently, write over its input, leave half a run behind."""

import json
import os
import shutil
import signal
from functools import cache
from pathlib import Path

import pytest
from stored_runs import contents, entry

from rh_lens import RunFolder, prompts
from rh_lens.cli import detect, main, options, terminated
from rh_lens.formats import write_head_scores
from rh_lens.runs import Shard, load_run
from rh_lens.runtime import plan

NEEDLES = Path(__file__).parents[1] / "four_needles.jsonl"
TINY = ["--lengths", "128", "--depths", "1", "--quiet", "--needles", str(NEEDLES)]


@pytest.fixture(scope="module", autouse=True)
def model_and_haystack_are_loaded_once():
    load, loaded = options.load_model, []

    def load_once(args):
        loaded[:] = loaded or [load(args)]
        return loaded[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(options, "load_model", load_once)
        patch.setattr(prompts, "load_haystack", cache(prompts.load_haystack))
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Four prompts of the bundled model."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(["detect", *TINY, "--out", str(out)]) == 0
    return out


@pytest.fixture
def run(finished, tmp_path):
    """A copy of that folder."""
    return shutil.copytree(finished, tmp_path / "run")


def one_line_of(capsys):
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1
    assert error.startswith("rh-lens: error: ")
    return error


def test_sigterm_keeps_the_trials_and_says_how_to_go_on(finished, tmp_path, capsys, monkeypatch):
    add, out = RunFolder.add, tmp_path / "run"

    def add_then_terminate(self, trial, events):
        add(self, trial, events)
        if len(self.done) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "add", add_then_terminate)
        assert main(["detect", *TINY, "--out", str(out)]) == 143
    error = capsys.readouterr().err
    assert f"2 of 4 prompts are answered in {out}; the same command with this --out" in error
    assert error.endswith("rh-lens: stopped by SIGTERM\n")
    assert json.loads((out / "run.json").read_text())["status"] == "stopped"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert main(["detect", *TINY, "--out", str(out)]) == 0
    assert (out / "scores.csv").read_bytes() == (finished / "scores.csv").read_bytes()


def test_somebody_elses_way_with_sigterm_is_left_alone():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with terminated.sigterm_raises():
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("shard", "message"),
    [
        ("", "Expected a shard such as 2/8; found ''"),
        ("1/1000000000", "Expected 65,536 shards or fewer; found 1,000,000,000"),
        ("1/2/3", "Expected a shard such as 2/8; found '1/2/3'"),
    ],
)
def test_a_shard_that_is_none_is_refused_at_once(shard, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(options, "load_model", None)
    assert main(["detect", "--shard", shard, "--out", str(tmp_path / "run")]) == 2
    assert message in one_line_of(capsys)
    assert not (tmp_path / "run").exists()


def test_one_process_of_accelerate_on_cpus_is_told_how_to_be_two(capsys, monkeypatch):
    assert main(["detect", "--haystack", "nowhere"]) == 2
    one_line_of(capsys)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert main(["detect", "--haystack", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith(detect.ONE_PROCESS)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["detect", "--haystack", "nowhere", "--out", "x"]) == 2
    one_line_of(capsys)
    assert main(["detect", "--help"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "torchrun --nproc-per-node 2 -m rh_lens detect" in printed
    assert "--shard 1/2 and --shard 2/2" in printed


@pytest.mark.parametrize(
    "name", ["run.json", "trials.jsonl", "log/{}", "scores.csv", "head_scores.json"]
)
def test_an_audit_is_not_saved_over_the_run_that_it_reads(run, name, capsys, monkeypatch):
    before, name = contents(run), name.format(entry(run, 0).name)
    assert main(["audit", str(run), "--out", str(run / name)]) == 2
    assert f"which belongs to '{run}'. Choose another name." in one_line_of(capsys)
    monkeypatch.chdir(run.parent)
    (run.parent / "link.json").symlink_to(run / name)
    assert main(["audit", "run", "--out", "link.json"]) == 2
    assert contents(run) == before
    assert main(["audit", "run", "--out", "run"]) == 0
    assert {"audit.json": (run / "audit.json").read_bytes(), **before} == contents(run)


def test_no_table_is_saved_over_a_file_that_is_read(run, tmp_path, capsys):
    scores = load_run(run).scores
    for name in ("a.json", "b.json"):
        write_head_scores(scores, tmp_path / name)
    one, other = str(tmp_path / "a.json"), str(tmp_path / "b.json")
    os.link(other, tmp_path / "b too.json")
    before = contents(tmp_path)
    for arguments in (
        ["audit", one, "--out", one],
        ["audit", other, "--out", str(tmp_path / "b too.json")],
        ["compare", one, other, "--out", other],
        ["compare", one, f"named={other}", "--out", other],
        ["compare", one, str(run), "--out", str(run / "run.json")],
    ):
        assert main(arguments) == 2
        assert "Expected --out to name a file that is not read" in one_line_of(capsys)
    assert contents(tmp_path) == before


def test_compare_says_which_run_has_no_result(run, tmp_path, capsys):
    needles, empty = tmp_path / "needles.jsonl", tmp_path / "empty"
    line = {"question": "Who?", "needle": "Zyx qux.", "real_needle": "Zyx qux"}
    needles.write_text(json.dumps(line) + "\n")
    template = "{context} {question} Say something else:"
    rest = ["--needles", str(needles), "--template", template, "--out", str(empty)]
    assert main(["detect", *TINY, *rest]) == 1
    capsys.readouterr()
    for arguments in (["compare", str(run), str(empty)], ["audit", str(empty)]):
        assert main(arguments) == 2
        assert f"Expected scores in '{empty}'; found none. " in one_line_of(capsys)


def test_what_is_lost_or_damaged_is_made_again_by_the_same_command(run, finished, capsys):
    (run / "run.json").unlink()
    entry(run, 2).write_bytes(b"?")
    assert main(["audit", str(run)]) == 2
    error = one_line_of(capsys)
    assert "run.json can't be read" in error
    assert "repeat the command that made it: it makes again what is lost" in error
    assert main(["detect", *TINY, "--out", str(run)]) == 0
    error = capsys.readouterr().err
    assert f"damaged in {run}, and made again: run.json can't be read (FileNotFound" in error
    assert "log/000002-" in error
    assert f"3 of 4 prompts are answered in {run}; going on." in error
    for name in ("scores.csv", "head_scores.json", "trials.jsonl"):
        assert (run / name).read_bytes() == (finished / name).read_bytes()
    assert load_run(run).damage == ()


def test_what_is_whole_in_a_damaged_run_is_taken_by_a_partial_merge(run, tmp_path, capsys):
    entry(run, 2).write_bytes(b"?")
    assert main(["merge", str(run), "--out", str(tmp_path / "new")]) == 2
    assert "rh-lens merge --partial take what is whole" in one_line_of(capsys)
    assert main(["merge", str(run), "--partial", "--out", str(tmp_path / "new")]) == 0
    printed = capsys.readouterr()
    assert f"damaged in {run}, the rest is taken: log/000002-" in printed.err
    assert "1 of 4 prompts are missing" in printed.err


@pytest.mark.parametrize("text", ["[" * 10_000, '{"key": {}}', "{", "5", "\udcff"])
def test_a_description_that_is_none_has_one_line(run, text, capsys):
    (run / "run.json").write_text(text, errors="surrogateescape")
    assert main(["audit", str(run)]) == 2
    assert "Expected the run in" in one_line_of(capsys)


def test_a_merge_is_repeated_by_the_same_command(finished, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(plan, "UNIT", 2)
    out = tmp_path / "all"
    for number in (1, 2):
        shard = str(Shard(number, 2))
        assert main(["detect", *TINY, "--out", str(out), "--shard", shard]) == 0
    assert main(["merge", str(out)]) == 0
    for status in ("running", "finished"):
        described = json.loads((out / "run.json").read_text())
        (out / "run.json").write_text(json.dumps({**described, "status": status}))
        if status == "running":
            (out / "scores.csv").unlink()
        assert main(["merge", str(out)]) == 0
        assert f"Saved in {out}" in capsys.readouterr().out
    trials = len(load_run(out).trials)
    assert trials == 4
    assert main(["merge", str(finished)]) == 2
    assert "which needs no merging" in capsys.readouterr().err


def test_a_model_that_can_not_be_searched_leaves_no_folder(tmp_path, capsys, monkeypatch):
    def refuse(*arguments, **options):
        raise ValueError("Expected a model with attention layers; found none.")

    monkeypatch.setattr("rh_lens.runs.run_folder.detect_retrieval_heads", refuse)
    assert main(["detect", *TINY, "--out", str(tmp_path / "run")]) == 2
    assert "Expected a model with attention layers" in one_line_of(capsys)
    assert list(tmp_path.iterdir()) == []


def test_shortened_prompts_are_told_in_one_line(capsys, monkeypatch, tmp_path):
    arguments = ["detect", "--lengths", "128", "--depths", "4", "--quiet"]
    monkeypatch.setattr("rh_lens.runs.RunFolder.detect", lambda self, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main([*arguments, "--out", str(tmp_path / "run")])
    error = capsys.readouterr().err
    assert error.startswith("rh-lens: Expected 48 prompts: 1 lengths, 4 depths, 12 needles; found")
    assert error.count("\n") == 1
