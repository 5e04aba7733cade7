"""Every public function has an example in its docstring, and all of them run."""

import api_page
import numpy as np
import pytest
import written_code

ROOMS = [room for room in api_page.rooms() if written_code.public_functions(room)]
# Rooms whose examples are of numbers and texts alone, so that they run every day.
QUICK = ("heads", "representation")


def test_every_public_function_has_an_example():
    without = [
        f"{room}.{name}"
        for room in ROOMS
        for name, function in written_code.public_functions(room).items()
        if written_code.examples_of(function) is None
    ]
    assert without == [], "Write an `Examples:` section, the last of the docstring."


@pytest.mark.parametrize("room", QUICK)
def test_quick_examples_print_what_stands_below_them(room, tmp_path, monkeypatch):
    names = written_code.vars_of(room) | {"np": np}
    assert failures(room, names, tmp_path, monkeypatch) == ""


@pytest.fixture(scope="module")
def names():
    return written_code.ready_names()


@pytest.mark.slow
@pytest.mark.parametrize("room", [room for room in ROOMS if room not in QUICK])
def test_examples_print_what_stands_below_them(room, names, tmp_path, monkeypatch):
    assert failures(room, names, tmp_path, monkeypatch) == ""


def failures(room, names, folder, monkeypatch):
    """What goes wrong in the examples of a room, as text; each has a folder of its own."""
    wrong = ""
    for name, function in written_code.public_functions(room).items():
        if written_code.examples_of(function) is not None:
            (folder / name).mkdir()
            monkeypatch.chdir(folder / name)
            wrong += written_code.run_examples(function, names)
    return wrong
