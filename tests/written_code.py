"""Code that stands in documentation, run: one mechanism for the README, the pages and docstrings.

Printed numbers may differ in what another processor rounds, everything else must be equal.
"""

import doctest
import importlib
import inspect
import io
import re
import shlex
from contextlib import redirect_stdout
from pathlib import Path
from types import FunctionType
from typing import Any

import api_page

from rh_lens.cli import main

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
# Share of a printed number, and also least difference, that rounding may make.
TOLERANCE = 0.02
NUMBER = re.compile(r"-?\d+\.\d*(?:e[-+]?\d+)?")
PIECE = re.compile(NUMBER.pattern + r"|\d+|[^\s\d]")
FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def same_output(found: str, expected: str) -> bool:
    """Whether two printed texts say the same, but for spaces and rounding."""
    pieces = PIECE.findall(found), PIECE.findall(expected)
    return len(pieces[0]) == len(pieces[1]) and all(map(_same_piece, *pieces))


def _same_piece(found: str, expected: str) -> bool:
    if not (NUMBER.fullmatch(found) and NUMBER.fullmatch(expected)):
        return found == expected
    return abs(float(found) - float(expected)) <= TOLERANCE * max(1, abs(float(expected)))


class Checker(doctest.OutputChecker):
    """Compares what an example prints by `same_output`; three dots at the end stand for more."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        want = want.replace("<BLANKLINE>", "")
        if want.rstrip().endswith("..."):
            start = PIECE.findall(want.rstrip().removesuffix("..."))
            found = PIECE.findall(got)
            return same_output(" ".join(found[: len(start)]), " ".join(start))
        return same_output(got, want)


def fenced(text: str) -> list[tuple[str, str]]:
    """Language and content of every fenced block of a page, in order."""
    return FENCE.findall(text)


def run_page(text: str, names: dict[str, Any]) -> list[str]:
    """Run a page's code from top to bottom; what differs from the `text` blocks, and what fails.

    Of commands, those about the bundled model are run.
    """
    wrong, printed = [], ""
    for language, content in fenced(text):
        if language == "python":
            printed = run(content, names)
        elif language == "sh":
            ours = [line for line in commands(content) if is_for_bundled_model(line)]
            wrong += [f"fails: {line}" for line in ours if call(line) != 0]
        elif language == "text" and not same_output(printed, content):
            wrong.append(f"expected\n{content}found\n{printed}")
    return wrong


def commands(content: str) -> list[list[str]]:
    """Arguments of each call of the command in a block."""
    lines = (
        re.split(r"(?:-m rh_lens|rh-lens) ", line, maxsplit=1) for line in content.splitlines()
    )
    return [shlex.split(line[1]) for line in lines if len(line) == 2]


def is_for_bundled_model(arguments: list[str]) -> bool:
    """Whether a command needs no other model, no other processes, and no long time."""
    is_long = arguments[0] in ("ablate", "bench", "doubt", "evaluate", "study", "compress")
    return "mistral" not in " ".join(arguments) and not is_long


def call(arguments: list[str]) -> int:
    """Exit code of a command, run in this process."""
    with redirect_stdout(io.StringIO()):
        return main(arguments)


def run(code: str, names: dict[str, Any]) -> str:
    """What the code prints; it leaves its names behind."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(code, "documentation", "exec"), names)
    return printed.getvalue()


def ready_names() -> dict[str, Any]:
    """What all examples start from: the objects of the page of rooms, and every public name."""
    names: dict[str, Any] = {}
    for room in api_page.rooms():
        names |= vars_of(room)
    text = (DOCS / "api" / "index.md").read_text(encoding="utf-8")
    code = "".join(content for language, content in fenced(text) if language == "python")
    run(code, names)
    return names


def vars_of(room: str) -> dict[str, Any]:
    """Public names of a room, with what they stand for."""
    module = importlib.import_module(f"rh_lens.{room}")
    return {name: getattr(module, name) for name in api_page.names_of(room)}


def public_functions(room: str) -> dict[str, FunctionType]:
    """Public functions of a room, by name."""
    return {name: thing for name, thing in vars_of(room).items() if inspect.isfunction(thing)}


def examples_of(function: FunctionType) -> doctest.DocTest | None:
    """The examples in a function's docstring; None where there is none."""
    found = doctest.DocTestParser().get_doctest(
        inspect.getdoc(function) or "", {}, function.__name__, None, None
    )
    return found if found.examples else None


def run_examples(function: FunctionType, names: dict[str, Any]) -> str:
    """Run a function's examples on a copy of the names; what went wrong, as text."""
    test = examples_of(function)
    assert test is not None, f"{function.__name__} has no example."
    test.globs = dict(names)
    report: list[str] = []
    doctest.DocTestRunner(Checker(), verbose=False).run(test, out=report.append)
    return "".join(report)
