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

import pytest
from stored_runs import LOGS, assert_same_run

from rh_lens.records import load_run, log

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
    """Have this process killed when it has written so many bytes to its logs."""
    writes, left = log._write, [n_bytes]

    def write(file, line):
        if len(line) >= left[0]:
            os.write(file.fileno(), line[: left[0]])
            kill_self()
        left[0] -= len(line) + 1
        writes(file, line)

    log._write = write


def go_on(run, folder, undisturbed):
    run.write(folder)
    assert_same_run(folder, undisturbed)
    assert json.loads((folder / "run.json").read_text())["status"] == "finished"


@pytest.mark.parametrize("n_moments", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_bytes_and_gone_on_with(made_up, undisturbed, tmp_path, n_moments):
    n_bytes = sum((undisturbed / name).stat().st_size for name in LOGS)
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
    appends = log.LogWriter.append

    def work():
        def append_slowly(*arguments):
            time.sleep(0.002)
            appends(*arguments)

        log.LogWriter.append = append_slowly
        made_up.write(folder)

    n_before = 0
    for _ in range(20):
        process = in_a_fork(work)
        time.sleep(rng.uniform(0.0, 0.03))
        os.kill(process, signal.SIGKILL)
        ending(process)
        if (folder / "run.json").exists():
            n_now = len(load_run(folder).trials)
            assert n_before <= n_now
            n_before = n_now
    go_on(made_up, folder, undisturbed)


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_before_steps_that_reach_the_disk(made_up, undisturbed, tmp_path, every):
    """Steps are what a run syncs or renames: about twenty, from the first file to `finished`."""
    places = [(os, "fsync"), (os, "replace"), (os, "rename"), (type(tmp_path), "replace")]

    def kill_before(step):
        steps = iter(range(step + 1))

        def counted(function):
            def call(*arguments):
                if next(steps) == step:
                    kill_self()
                return function(*arguments)

            return call

        for module, name in places:
            setattr(module, name, counted(getattr(module, name)))

    for step in range(0, 60, every):
        folder = tmp_path / str(step)

        def work(step=step, folder=folder):
            kill_before(step)
            made_up.write(folder)

        how = ending(in_a_fork(work))
        go_on(made_up, folder, undisturbed)
        shutil.rmtree(folder)
        if how == (None, 0):
            break
    assert how == (None, 0)
    assert step > 12


@pytest.mark.parametrize("n_moments", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_a_disk_that_is_full_at_any_byte(made_up, undisturbed, tmp_path, n_moments):
    """The system itself refuses to let a file grow, in the middle of a line."""
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
        for name in LOGS:
            data = (folder / name).read_bytes()
            assert len(data) <= limit
            assert data == (undisturbed / name).read_bytes()[: len(data)]
            assert data.endswith(b"\n") or not data
        go_on(made_up, folder, undisturbed)
