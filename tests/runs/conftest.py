import os

import pytest
from stored_runs import RandomRun


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """No waiting for the disk: what a process has written outlives it without."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="session")
def made_up():
    """A run of nine trials made up at random, and its files when nothing disturbs it."""
    return RandomRun(n_trials=9, seed=3)


@pytest.fixture(scope="session")
def undisturbed(made_up, tmp_path_factory):
    """The folder of that run."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    made_up.write(folder)
    return folder
