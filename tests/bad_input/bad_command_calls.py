"""Running commands with bad arguments, and what came of it."""

import contextlib
import io
import re
import time
import traceback
from pathlib import Path
from typing import Any

from bad_calls import MOST_CHARACTERS, MOST_SECONDS, Verdict, everything_in, inside, time_limit
from bad_commands import COMMANDS, MAIN, command_line

from rh_lens.cli import main

HOUSE = re.compile(r"[Ee]xpected\s.+\sfound\b.+[.?:)]\s\"?[A-Z].*\S$", re.DOTALL)
# What argparse says itself names the argument and the value; the remedy is the reference to --help.
ARGPARSE = re.compile(
    r"(invalid choice|unrecognized arguments|ignored explicit argument|expected one argument|"
    r"required).* [Ss]ee rh-lens.* --help\.?$",
    re.DOTALL,
)


def try_command(name: str, things: Any, folder: Path) -> list[Verdict]:
    """Every bad value of every argument of one command."""
    if name == "main":
        return [_try("", words, piece, things, folder) for words, piece in MAIN]
    base, arguments = COMMANDS[name]
    verdicts = []
    for argument, values in arguments.items():
        for value in values:
            value, piece = value if isinstance(value, tuple) else (value, "")
            text = value(things) if callable(value) else value
            words = command_line(name, argument, text, base, things)
            verdicts.append(_try(argument, words, piece, things, folder))
    return verdicts


def _try(argument: str, words: list[str], piece: str, things: Any, folder: Path) -> Verdict:
    before = everything_in(folder), everything_in(things.folder), things.state()
    out, err = io.StringIO(), io.StringIO()
    code: Any = None
    began = time.process_time()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            with time_limit(2 * MOST_SECONDS), inside(folder):
                code = main(words)
        except SystemExit as stop:
            code = stop.code
        except BaseException:
            code, trace = "traceback", traceback.format_exc(limit=1)
            err.write(trace[-600:])
    seconds = time.process_time() - began
    after = everything_in(folder), everything_in(things.folder), things.state()
    call = " ".join(word[:60] for word in ["rh-lens", *words])
    said = err.getvalue().strip()
    outcome = _judge(code, said, piece, seconds, before == after)
    return Verdict("commands", call, outcome, f"[{code}, {seconds:.1f} s] {said[:1300]}")


def _judge(code: Any, said: str, piece: str, seconds: float, untouched: bool) -> Any:
    if code == "traceback":
        return "too late" if "TimeoutError" in said else "traceback"
    if code in (0, None):
        return "accepted"
    if "still running after" in said or seconds > MOST_SECONDS or not untouched:
        return "too late"
    if len(said) >= MOST_CHARACTERS:
        return "too long"
    in_style = HOUSE.search(said) or ARGPARSE.search(said)
    fits = code == 2 and in_style and piece in said and len(said.splitlines()) == 1
    return "refused well" if fits else "unclear"
