"""A process is killed while it writes a run; the run goes on, and nothing tells it was disturbed.

The processes are forks of this one, so that each costs milliseconds.
"""

import json
import os
import random
import resource
import shutil
import signal
import time
from pathlib import Path

import pytest
from stored_runs import assert_same_run, entries

from rh_lens.runs import RUN_FILES, Shard, load_run, merge_runs
from rh_lens.runs.log import LogWriter
from rh_lens.runtime import plan

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


def in_a_fork(work):
    """Process id of a fork that does some work and ends: with 0, or with 3 after an error."""
    process = os.fork()
    if process == 0:
        try:
            work()
        except BaseException:
            os._exit(3)
        os._exit(0)
    return process


def ending(process):
    """Signal or exit code that ended a process, as (signal, code)."""
    _, status = os.waitpid(process, 0)
    return (os.WTERMSIG(status), None) if os.WIFSIGNALED(status) else (None, os.WEXITSTATUS(status))


def kill_self():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_after_bytes(n_bytes):
    """Have this process killed when it has written so many bytes to its log."""
    writes, left = Path.write_bytes, [n_bytes]

    def write(path, content):
        if len(content) >= left[0]:
            writes(path, content[: left[0]])
            kill_self()
        left[0] -= len(content)
        return writes(path, content)

    Path.write_bytes = write


def go_on(run, folder, undisturbed):
    run.write(folder)
    assert_same_run(folder, undisturbed)
    assert json.loads((folder / "run.json").read_text())["status"] == "finished"


@pytest.mark.parametrize("n_moments", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_bytes_and_gone_on_with(made_up, undisturbed, tmp_path, n_moments):
    n_bytes = sum(map(len, entries(undisturbed).values()))
    rng = random.Random(1)
    for moment in range(n_moments):
        folder = tmp_path / str(moment)

        def work(folder=folder):
            kill_after_bytes(rng.randrange(n_bytes))
            made_up.write(folder)

        rng.random()  # another moment in each fork
        assert ending(in_a_fork(work)) == (signal.SIGKILL, None)
        go_on(made_up, folder, undisturbed)


@pytest.mark.slow
def test_killed_at_twenty_random_times_again_and_again(made_up, undisturbed, tmp_path):
    """One run, killed until it is done: whatever moment that is, in `finish` too."""
    folder, rng = tmp_path / "run", random.Random(2)
    appends = LogWriter.append

    def work():
        def append_slowly(*arguments):
            time.sleep(0.002)
            appends(*arguments)

        LogWriter.append = append_slowly
        made_up.write(folder)

    n_before = 0
    for _ in range(20):
        process = in_a_fork(work)
        time.sleep(rng.uniform(0.0, 0.03))
        os.kill(process, signal.SIGKILL)
        ending(process)
        if (folder / "run.json").exists():
            run = load_run(folder)
            assert n_before <= len(run.trials)
            n_before = len(run.trials)
    go_on(made_up, folder, undisturbed)


def kill_before(step):
    """Have this process killed before it opens, syncs, renames, removes or makes a file again."""
    steps = iter(range(step + 1))

    def counted(function):
        def call(*arguments, **options):
            if next(steps) == step:
                kill_self()
            return function(*arguments, **options)

        return call

    for name in ("open", "fsync", "replace", "rename", "unlink", "mkdir"):
        setattr(os, name, counted(getattr(os, name)))


EVERY_STEP = pytest.mark.parametrize("stride", [25, pytest.param(1, marks=pytest.mark.slow)])


def kill_at_steps(stride, prepare, work, check, folder):
    """Number of steps of some work in a folder, which was killed before each that is a multiple of
    the stride, then checked."""
    for step in range(0, 400, stride):
        prepare(folder)

        def work_and_die(step=step):
            kill_before(step)
            work(folder)

        how = ending(in_a_fork(work_and_die))
        assert how in [(signal.SIGKILL, None), (None, 0)]
        check(folder)
        shutil.rmtree(folder)
        if how == (None, 0):
            return step
    raise AssertionError("it never ended by itself")


@EVERY_STEP
def test_killed_before_every_step_that_reaches_the_disk(stride, made_up, undisturbed, tmp_path):
    """From the first file to `finished`."""
    n_steps = kill_at_steps(
        stride,
        lambda folder: None,
        made_up.write,
        lambda folder: go_on(made_up, folder, undisturbed),
        tmp_path / "run",
    )
    assert n_steps > 20


@pytest.fixture
def shards(made_up, tmp_path, monkeypatch):
    """A folder of the run in two shards."""
    monkeypatch.setattr(plan, "UNIT", 3)
    for number in (1, 2):
        shard = Shard(number, 2)
        made_up.write(tmp_path / "shards" / shard.folder, shard=shard)
    return tmp_path / "shards"


def merge_again(made_up, undisturbed, paths, folder):
    """What is there is a part of the run, or all of it; then the merge is repeated."""
    if (folder / "run.json").exists():
        run = load_run(folder)
        assert entries(folder).items() <= entries(undisturbed).items()
        assert (run.status == "finished") <= (len(run.trials) == len(entries(undisturbed)))
    for _ in range(2):
        assert merge_runs(paths, folder).status == "finished"
        assert_same_run(folder, undisturbed)
    files = [file.name for file in folder.iterdir() if file.is_file()]
    assert sorted(files) == sorted(RUN_FILES)


@EVERY_STEP
def test_a_merge_killed_before_every_step_is_repeated(
    stride, made_up, undisturbed, shards, tmp_path
):
    n_steps = kill_at_steps(
        stride,
        lambda out: None,
        lambda out: merge_runs([shards], out),
        lambda out: merge_again(made_up, undisturbed, [shards], out),
        tmp_path / "out",
    )
    assert n_steps > 20


@EVERY_STEP
def test_so_is_one_into_the_folder_of_the_shards(stride, made_up, undisturbed, shards, tmp_path):
    n_steps = kill_at_steps(
        stride,
        lambda out: shutil.copytree(shards, out),
        lambda out: merge_runs([out], out),
        lambda out: merge_again(made_up, undisturbed, [out], out),
        tmp_path / "out",
    )
    assert n_steps > 20


@pytest.mark.parametrize("n_moments", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_a_merge_on_a_disk_that_is_full_at_any_byte_is_repeated(
    made_up, undisturbed, shards, tmp_path, n_moments
):
    largest = (undisturbed / "trials.jsonl").stat().st_size
    rng = random.Random(5)
    for moment in range(n_moments):
        folder, limit = tmp_path / str(moment), rng.randrange(largest)

        def work(folder=folder, limit=limit):
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            merge_runs([shards], folder)

        assert ending(in_a_fork(work)) == (None, 3)
        merge_again(made_up, undisturbed, [shards], folder)


@pytest.mark.parametrize("n_moments", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_a_disk_that_is_full_at_any_byte(made_up, undisturbed, tmp_path, n_moments):
    """The system itself refuses to let a file grow, in the middle of a trial or of a table."""
    largest = (undisturbed / "trials.jsonl").stat().st_size
    smallest = (undisturbed / "run.json").stat().st_size
    assert smallest < largest
    rng = random.Random(3)
    for moment in range(n_moments):
        folder, limit = tmp_path / str(moment), rng.randrange(smallest, largest)

        def work(folder=folder, limit=limit):
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            made_up.write(folder)

        assert ending(in_a_fork(work)) == (None, 3)
        stored = load_run(folder)
        assert stored.status in ("failed", "running")
        assert stored.damage == ()
        assert entries(folder).items() <= entries(undisturbed).items()
        go_on(made_up, folder, undisturbed)
