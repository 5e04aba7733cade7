"""An ablation is saved as it goes, goes on after a kill, and comes back as it was."""

import errno
import json
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from planted import make_prompt
from stored_runs import contents, entries, entry

from rh_lens.evaluation import AblationTables, HeadLooks, KeptAnswer
from rh_lens.heads import Head
from rh_lens.runs import AblationFolder, load_ablation, load_run
from rh_lens.runs.log import LogWriter
from rh_lens.runtime import Generation

MODEL = {
    name: name
    for name in (
        "architecture n_layers n_heads dtype config_sha256 weights_sha256 n_key_value_heads "
        "tokenizer_sha256 device"
    ).split()
}
PROMPTS = [make_prompt([1, 2, 3, 4], (1, 3)), make_prompt([1, 2, 3, 5], (1, 3))]
OPTIONS = {"operator": "zero", "scope": "both"}
SETS = [(), (Head(0, 1),), (Head(0, 1), Head(2, 3))]


def answer(text, n_steps=2):
    random = np.random.default_rng(len(text))
    rows = [random.random((n_steps, 1)).astype("f4") for _ in range(4)]
    looks = HeadLooks(np.arange(n_steps, dtype="i8")[:, None] + 2**40, *rows)
    said = torch.arange(n_steps)
    return KeptAnswer(Generation(said, text, "eos", (*said.tolist(), 9), 3), looks)


# Three passes; the second one's answers are without any step, and without heads.
PASSES = [
    {(SETS[0], 0): answer("an otter"), (SETS[1], 0): answer("\N{OTTER}\n")},
    {(SETS[0], 1): answer("", 0), (SETS[1], 1): KeptAnswer(Generation(torch.arange(0), "", "eos"))},
    {(SETS[2], 0): answer("x" * 50, 7)},
]
ALL = {place: one for answers in PASSES for place, one in answers.items()}


def folder(path, model=MODEL, prompts=PROMPTS, **options):
    return AblationFolder(path, model, prompts, OPTIONS | options, {"command": "ablate"})


def fill(path, passes=PASSES):
    with folder(path) as run:
        for answers in passes:
            run.add(answers)


def assert_same(found, expected):
    """To the last bit."""
    assert list(found) == list(expected)
    for place, one in expected.items():
        before, after = one.generation, found[place].generation
        assert torch.equal(before.tokens, after.tokens)
        assert vars(before) | {"tokens": 0} == vars(after) | {"tokens": 0}
        assert (one.looks is None) == (found[place].looks is None)
        for name, array in vars(one.looks).items() if one.looks else ():
            np.testing.assert_array_equal(getattr(found[place].looks, name), array, strict=True)


def test_answers_come_back_as_they_were(tmp_path):
    fill(tmp_path / "run")
    with folder(tmp_path / "run") as run:
        assert_same(run.done, ALL)
        run.add(PASSES[0])  # said a second time: kept once
    with folder(tmp_path / "run") as run:
        assert_same(run.done, ALL)
    description = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (description["status"], description["n_answers"]) == ("stopped", 5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_killed_at_every_hundredth_byte_and_gone_on_with(tmp_path):
    """What had ended counts, once; the same folder goes on to the same log."""
    fill(tmp_path / "undisturbed")
    whole = entries(tmp_path / "undisturbed")
    n_bytes = sum(map(len, contents(tmp_path / "undisturbed" / "log").values()))
    n_left = set()
    for moment in range(0, n_bytes, 200):
        path, writes, left = tmp_path / str(moment), Path.write_bytes, [moment]

        def write(path, content, writes=writes, left=left):
            if len(content) >= left[0]:
                writes(path, content[: left[0]])
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= len(content)
            return writes(path, content)

        process = os.fork()
        if process == 0:
            Path.write_bytes = write
            fill(path)
            os._exit(0)
        assert os.WIFSIGNALED(os.waitpid(process, 0)[1])
        with folder(path) as run:
            n_left.add(len(run.done))
            for answers in PASSES:
                run.add(answers)
            assert_same(run.done, ALL)
        assert entries(path) == whole
    assert n_left >= {0, 2, 4}


def test_losses_are_kept_beside_answers(tmp_path):
    losses = {(SETS[0], 0): 0.1 + 0.2, (SETS[2], 0): 1 / 3, (SETS[2], 1): float("nan")}
    with folder(tmp_path) as run:
        run.add(PASSES[0])
        run.add_losses(losses)
        run.add(PASSES[1])
    with folder(tmp_path) as run:
        assert list(run.done) == [*PASSES[0], *PASSES[1]]
        assert str(run.losses) == str(losses)
    assert json.loads((tmp_path / "run.json").read_text())["n_answers"] == 4


def test_another_ablation_is_refused_by_what_differs(tmp_path):
    fill(tmp_path)
    for other, message in (
        ({"scope": "decode"}, r"options.scope: 'both' there, 'decode' here"),
        ({"model": MODEL | {"weights_sha256": "other"}}, "weights_sha256: 'weights_sha256' there"),
        ({"prompts": PROMPTS[:1]}, "prompts.number: 2 there, 1 here"),
    ):
        with pytest.raises(ValueError, match=message), folder(tmp_path, **other):
            pass
    with folder(tmp_path) as run:
        assert len(run.done) == 5


def test_what_is_no_ablation_is_refused_and_left(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"to go on with; found \['notes.txt'\]"):
        folder(tmp_path).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_damaged_answers_are_asked_for_again(tmp_path):
    fill(tmp_path)
    whole, path = entries(tmp_path), entry(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:-1])
    with folder(tmp_path) as run:
        assert run.damage[0] == f"log/{path.name}: not as it was written"
        assert list(run.done) == [*PASSES[0], *PASSES[2]]
        run.add(PASSES[1])
        assert run.done.keys() == ALL.keys()
    with folder(tmp_path) as run:
        assert run.damage == ()
        assert run.done.keys() == ALL.keys()
    assert entries(tmp_path).keys() > whole.keys() - {path.name}


def test_two_processes_cannot_write_to_one(tmp_path):
    with folder(tmp_path), pytest.raises(BlockingIOError), folder(tmp_path):
        pass


def test_an_error_before_the_first_answer_leaves_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError), folder(tmp_path):
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []


def test_answers_wait_while_the_disk_is_full(tmp_path, monkeypatch):
    def full(self, *arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with folder(tmp_path) as run:
        run.add(PASSES[0])
        with monkeypatch.context() as patch:
            patch.setattr(LogWriter, "append", full)
            run.add(PASSES[1])
            assert run.problem.errno == errno.ENOSPC
            assert list(run.done) == [place for part in PASSES[:2] for place in part]
            with pytest.raises(OSError, match="No space left"):
                run.finish(AblationTables(curve=TABLE))
        run.add(PASSES[2])  # there is room again: what waited is written first
        assert run.problem is None
    with folder(tmp_path) as run:
        assert_same(run.done, ALL)


TABLE = pd.DataFrame(
    {
        "text": ["", "None", 'a "quoted", line\nand more'],
        "maybe": pd.array(["x", None, "y"], dtype="string"),
        "right": [True, False, True],
        "k": [0, 1, 2],
        "draw": pd.array([None, 1, 2], dtype="Int64"),
        "mean": [0.1, float("nan"), 1 / 3],
        "mass": np.array([0.1, 0.2, 0.3], dtype="float32"),
    }
)


def test_tables_come_back_with_their_types(tmp_path):
    with AblationFolder(tmp_path, MODEL, PROMPTS, OPTIONS, {"ranking": ["L0H1"]}) as run:
        run.add(ALL)
        run.finish(AblationTables(curve=TABLE, heads=TABLE[:1]))
    stored = load_ablation(tmp_path)
    pd.testing.assert_frame_equal(stored.curve, TABLE, check_exact=True)
    pd.testing.assert_frame_equal(stored.tables.heads, TABLE[:1])
    assert stored.ranking == (Head(0, 1),)
    assert stored.description["status"] == "finished"
    assert repr(stored).endswith("rows: curve 3, heads 1)")


def test_what_is_not_finished_is_not_read_back(tmp_path):
    fill(tmp_path / "run")
    with pytest.raises(ValueError, match="one that is 'stopped', with 5 answers"):
        load_ablation(tmp_path / "run")
    with pytest.raises(FileNotFoundError, match="found none"):
        load_ablation(tmp_path / "nothing")
    with pytest.raises(ValueError, match="found one of rh-lens ablate"):
        load_run(tmp_path / "run")
