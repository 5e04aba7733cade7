"""Bad values by what they should be: of a wrong type, empty, out of range, huge, NaN."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

NAN, INF = float("nan"), float("inf")
HUGE = 10**12


@dataclass(frozen=True)
class Bad:
    """A bad value, the error it is to get, and a piece of its message.

    Args:
        value: The value; `Made` by a function of the good things where it needs them.
        error: Type of the error.
        piece: What the message must hold; None: the parameter's name.
    """

    value: Any
    error: type[Exception]
    piece: str | None = None


@dataclass(frozen=True)
class Made:
    """A bad value that is made from good things."""

    make: Callable[[Any], Any]


Values = tuple[Bad, ...]


def wrong(*values: Any, piece: str | None = None) -> Values:
    """Values of a wrong type."""
    return tuple(Bad(value, TypeError, piece) for value in values)


def bad(*values: Any, piece: str | None = None) -> Values:
    """Bad values of the right type."""
    return tuple(Bad(value, ValueError, piece) for value in values)


def made(
    *makes: Callable[[Any], Any], error: type[Exception] = ValueError, piece: str | None = None
) -> Values:
    """Bad values that are made from good things."""
    return tuple(Bad(Made(make), error, piece) for make in makes)


def whole(
    least: int | None = 1, most: int | None = None, *, none: bool = False, huge: bool = True
) -> Values:
    """What is no whole number from `least` to `most`; `none` where None is fine."""
    values = wrong("3", 1.5, NAN, True, [1], b"1") + (() if none else wrong(None))
    if least is not None:
        values += bad(least - 1, least - 5, -HUGE)
    if most is not None:
        values += bad(most + 1)
    return values + (bad(10**30) if huge else ())


SEED = whole(0)


def number(
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    none: bool = False,
) -> Values:
    """What is no finite number of a range."""
    values = wrong("0.1", True, [0.1], 1j) + (() if none else wrong(None))
    values += bad(NAN, INF, -INF, np.float32("nan"), 10**400)
    values += bad(least - 0.5) if least is not None else ()
    values += bad(most + 0.5) if most is not None else ()
    values += bad(above, above - 1) if above is not None else ()
    values += bad(below, below + 1) if below is not None else ()
    return values


SHARE = number(least=0, most=1)
INSIDE_UNIT = number(above=0, below=1)


def choice(*, none: bool = False, nearly: str = "") -> Values:
    """What is none of a few names; `nearly` is one of them, mistyped."""
    values = bad("", "depth_of", "x" * 10**6) + wrong(3, ["layer"], b"layer")
    values += () if none else wrong(None)
    return values + (bad(nearly, piece="Did you mean") if nearly else ())


def text(*, none: bool = False, blank: bool = False) -> Values:
    """What is no text."""
    values = wrong(3, b"x", ["x"], Path("x")) + (() if none else wrong(None))
    return values if blank else values + bad("", " \n ")


FLAG = wrong(None, "no", 2, [], 0.0)

PATH = wrong(None, 3, ["x"], b"x") + bad("", "a\0b")


def missing_file(error: type[Exception] = FileNotFoundError) -> Values:
    """A path, and names of files that are not there."""
    return (
        *PATH,
        Bad("no-such-file", error, "no-such-file"),
        Bad("no/such/folder/file", error, "no/such/folder"),
        Bad("x" * 5000, OSError, "xxx"),
    )


def instance(*others: Any, none: bool = False) -> Values:
    """What is no object of the project's own types."""
    values = wrong("x", 3, [1], {"a": 1}, object, *others)
    return values if none else values + wrong(None)


MODEL = wrong(None, "demo", 3, torch.nn.Linear(2, 2), {"cfg": 1}, piece="TransformerBridge")
TOKENIZER = wrong(None, "gpt2", 3, object(), piece="tokenizer")
TENSOR = wrong(None, "x", 3, [1, 2], np.zeros(3))
TABLE = wrong(None, "x", 3, [1], {"a": [1]}, np.zeros((2, 2))) + bad(
    pd.DataFrame(), pd.DataFrame({"a": [1]})
)


def trial_table() -> Values:
    """What is no table of the scored trials."""
    return (
        *TABLE,
        *made(
            lambda t: t.trials.drop(columns="trial"),
            lambda t: t.trials.iloc[:0],
            lambda t: t.trials.assign(trial=range(900, 900 + len(t.trials))),
            lambda t: pd.concat([t.trials, t.trials]),
            piece="trial",
        ),
    )


def entries(*others: Any, empty: bool = True, single: Callable[[Any], Any] | None = None) -> Values:
    """What is no list of the project's own objects."""
    values = wrong(None, 3, "x", {"a": 1}, [None], ["x"], [object()], *others)
    values += bad([], ()) if empty else ()
    return values + (made(single, error=TypeError) if single else ())


PROMPTS = entries(single=lambda t: t.prompt)
