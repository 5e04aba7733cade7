"""Completion in a shell: what may follow is told to it, and to nobody else."""

import os
import subprocess
import sys

import pytest

from rh_lens.cli import main


def completions(line, **variables):
    """What the shell is told may follow a line, as argcomplete is asked by bash."""
    code = "import os; os.dup2(1, 8); from rh_lens.cli import main; main()"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    environment = {**os.environ, **asked, "_ARGCOMPLETE_IFS": "\n", **variables}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout.split(), done.stderr


def test_commands_options_and_choices_are_completed():
    pytest.importorskip("argcomplete")
    assert completions("rh-lens a")[0] == ["ablate", "ask", "audit"]
    assert completions("rh-lens detect --sco")[0] == ["--score"]
    assert completions("rh-lens detect --score tea")[0] == ["teacher-forced"]


def test_without_argcomplete_nothing_is_said(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "argcomplete", None)
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    assert main(["--version"]) == 0
    assert capsys.readouterr().err == ""
