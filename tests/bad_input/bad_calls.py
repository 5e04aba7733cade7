"""Calling with one bad value at a time, and what came of it."""

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import getdoc
from pathlib import Path
from typing import Any, Literal, TypeAlias

from bad_values import Bad, Made, Values

Outcome: TypeAlias = Literal[
    "refused well", "internal error", "unclear", "accepted", "traceback", "too late", "too long"
]
OUTCOMES: tuple[Outcome, ...] = (
    "refused well", "internal error", "unclear", "accepted", "traceback", "too late", "too long"
)  # fmt: skip
MOST_CHARACTERS = 1000
MOST_SECONDS = 2.0
# What users of a library can't make sense of: it speaks of the library's own insides.
INTERNAL = (
    AttributeError, LookupError, ArithmeticError, RuntimeError, TypeError, AssertionError,
    MemoryError, NameError,
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A function with good arguments, and bad values for each of its parameters.

    Args:
        function: What is called.
        good: Arguments that are fine, made from good things.
        bad: Bad values by parameter.
        lazy: Whether errors come when the first item is asked for, or when the context is entered.
    """

    function: Callable[..., Any]
    good: Callable[[Any], dict[str, Any]]
    bad: dict[str, Values]
    lazy: bool = False

    @property
    def name(self) -> str:
        return self.function.__qualname__


def entry(
    function: Callable[..., Any],
    good: Callable[[Any], dict[str, Any]] = lambda t: {},
    *,
    lazy: bool = False,
    **bad: Values,
) -> Entry:
    """An entry of the table; `self_` stands for a method's own object."""
    return Entry(function, good, bad, lazy)


@dataclass
class Verdict:
    """What came of one bad value."""

    room: str
    call: str
    outcome: Outcome
    said: str = ""


def totals(outcomes: Iterable[tuple[str, str]]) -> list[str]:
    """Lines that say how many bad inputs of each room had which outcome.

    Args:
        outcomes: Room and outcome of each bad input.
    """
    counts: dict[str, Counter[str]] = {}
    for room, outcome in outcomes:
        counts.setdefault(room, Counter())[outcome] += 1
    if counts:
        counts["in all"] = sum(counts.values(), Counter())
    return [_line(room, count) for room, count in counts.items()]


def _line(room: str, count: Counter[str]) -> str:
    others = "".join(f"; {count[o]} {o}" for o in OUTCOMES[1:] if count[o])
    refused = count["refused well"]
    return f"{room}: {count.total()} bad inputs, {refused} refused as they should be{others}"


def try_all(room: str, entry: Entry, things: Any, folder: Path) -> list[Verdict]:
    """Call with each bad value in turn, all other arguments good."""
    verdicts = []
    entry.good(things)
    things.weights_changed()
    for parameter, values in entry.bad.items():
        for bad in values:
            call = f"{entry.name}({parameter}={_short(bad, things)})"
            outcome, said = _try(entry, parameter, bad, things, folder)
            verdicts.append(Verdict(room, call, outcome, said))
    if things.weights_changed():
        verdicts.append(Verdict(room, entry.name, "too late", "the model's weights changed"))
    return verdicts


def _try(entry: Entry, parameter: str, bad: Bad, things: Any, folder: Path) -> tuple[Outcome, str]:
    arguments = entry.good(things)
    arguments[parameter] = bad.value.make(things) if isinstance(bad.value, Made) else bad.value
    before = things.state(), everything_in(folder), everything_in(things.folder)
    own = arguments.pop("self", None)
    error: BaseException | None = None
    began = time.process_time()
    try:
        with time_limit(2 * MOST_SECONDS), inside(folder):
            arguments_first = (own,) if own is not None else ()
            called = entry.function(*arguments_first, **arguments)
            if entry.lazy and hasattr(called, "__enter__"):
                called.__enter__()
            elif entry.lazy:
                next(iter(called), None)
    except (Exception, SystemExit) as raised:
        error = raised
    seconds = time.process_time() - began
    after = things.state(), everything_in(folder), everything_in(things.folder)
    if error is None:
        return "accepted", ""
    said = f"{type(error).__name__}: {error}"
    if seconds > MOST_SECONDS or before != after:
        what = "" if before == after else ", and it left something behind"
        return "too late", f"after {seconds:.1f} s{what}: {said[:300]}"
    piece = parameter if bad.piece is None else bad.piece
    return judge(error, bad.error, piece, documented(entry.function)), said[:1200]


def judge(
    error: BaseException, expected: type[Exception], piece: str, documented: frozenset[str]
) -> Outcome:
    """Whether an error is the house's, of the expected and a documented type."""
    message = str(error)
    if len(message) >= MOST_CHARACTERS:
        return "too long"
    if not is_house_style(message):
        return "internal error" if isinstance(error, INTERNAL) else "unclear"
    names = {kind.__name__ for kind in type(error).__mro__}
    fits = isinstance(error, expected) and piece in message and names & documented
    return "refused well" if fits else "unclear"


def is_house_style(message: str) -> bool:
    """Whether a message says what was expected, what was found and what to do."""
    return bool(re.match(r"Expected\s.+\sfound\b.+[.?:)]\s\"?[A-Z].*\S$", message, re.DOTALL))


def documented(function: Callable[..., Any]) -> frozenset[str]:
    """Names of the errors that a docstring's section Raises has."""
    raises = (getdoc(function) or "").partition("Raises:")[2]
    return frozenset(re.findall(r"^\s+(\w+):", raises, re.MULTILINE))


def everything_in(folder: str | Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file and folder in it."""
    found = {}
    for entry in os.scandir(folder):
        stat = entry.stat()
        found[entry.path] = (stat.st_size, stat.st_mtime_ns)
        if entry.is_dir(follow_symlinks=False):
            found |= everything_in(entry.path)
    return found


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """While open, the folder is the current one."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Ends what takes more CPU time, with a TimeoutError."""

    def stop(number: int, frame: Any) -> None:
        raise TimeoutError(f"still running after {seconds} s of CPU time")

    old = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, old)


def _short(bad: Bad, things: Any) -> str:
    if isinstance(bad.value, Made):
        return f"made at line {bad.value.make.__code__.co_firstlineno}"
    text = repr(bad.value[:60] if isinstance(bad.value, (str, bytes)) else bad.value)
    return " ".join(text[:60].split())
