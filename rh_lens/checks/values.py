"""Refusing values of a wrong type, out of range, or of another name."""

import math
import os
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from rh_lens.checks.messages import did_you_mean, found_as, refusal, shown

MAX_REPEATS = 1_000_000
"""Most draws, permutations or resamples of one call: more would take hours and the memory."""

MAX_SEED = 2**63 - 1
"""Largest seed that Python, NumPy and PyTorch all take."""


def require_whole_number(
    name: str,
    value: Any,
    *,
    at_least: int | None = None,
    at_most: int | None = None,
    remedy: str = "",
) -> None:
    """Refuse what is no whole number of a range; True and 2.0 are none.

    Args:
        name: What the caller knows the value as.
        value: What was given; NumPy's whole numbers are fine.
        at_least: Smallest allowed.
        at_most: Largest allowed.
        remedy: A sentence that says what to do; one is made up if it is empty.

    Raises:
        TypeError: It is no whole number.
        ValueError: It is out of range.
    """
    wanted = "a whole number" + _range(at_least, at_most)
    if not isinstance(value, Integral) or isinstance(value, bool):
        example = at_least if at_least is not None else 0
        raise TypeError(refusal(name, wanted, value, remedy or f"Pass one, such as {example}."))
    _require_inside(name, wanted, value, (at_least, at_most, None, None), remedy)


def require_number(
    name: str,
    value: Any,
    *,
    at_least: int | float | None = None,
    at_most: int | float | None = None,
    above: int | float | None = None,
    below: int | float | None = None,
    remedy: str = "",
) -> None:
    """Refuse what is no finite number of a range.

    Args:
        name: What the caller knows the value as.
        value: What was given; NumPy's numbers are fine, True is none.
        at_least: Smallest allowed.
        at_most: Largest allowed.
        above: Allowed are larger ones.
        below: Allowed are smaller ones.
        remedy: A sentence that says what to do; one is made up if it is empty.

    Raises:
        TypeError: It is no number.
        ValueError: It is NaN, infinite or out of range.
    """
    limits = _range(at_least, at_most, above, below)
    wanted = f"a number{limits}" if limits else "a finite number"
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(refusal(name, wanted, value, remedy or "Pass one, such as 0.5."))
    if not _is_finite(value):
        raise ValueError(refusal(name, wanted, value, remedy or "Pass a finite one."))
    _require_inside(name, wanted, value, (at_least, at_most, above, below), remedy)


def require_seed(name: str, value: Any) -> None:
    """Refuse what can't seed every generator: whole numbers of 0 or more can.

    Raises:
        TypeError: It is no whole number.
        ValueError: It is out of range.
    """
    require_whole_number(name, value, at_least=0, at_most=MAX_SEED)


def require_flag(name: str, value: Any) -> None:
    """Refuse what is neither True nor False: "no" would count as True.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(value, bool) and type(value).__name__ != "bool":
        raise TypeError(refusal(name, "True or False", value, "Pass one of the two."))


def require_choice(name: str, value: Any, choices: Iterable[Any], *, remedy: str = "") -> None:
    """Refuse what is none of a few values.

    Args:
        name: What the caller knows the value as.
        value: What was given.
        choices: What is allowed.
        remedy: A sentence that says what to do; without one, the nearest choice is named.

    Raises:
        TypeError: It is not even of a choice's type.
        ValueError: It is none of them.
    """
    choices = list(choices)
    if isinstance(value, tuple({type(choice) for choice in choices})) and value in choices:
        return
    wanted = f"one of {', '.join(str(choice) for choice in choices)}"
    if not isinstance(value, str):
        raise TypeError(refusal(name, wanted, value, remedy or "Choose one of these."))
    guess = did_you_mean(value, choices) or "Choose one of these."
    raise ValueError(refusal(name, wanted, value, remedy or guess))


def require_text(name: str, value: Any, *, blank: bool = False, remedy: str = "") -> None:
    """Refuse what is no text, or a blank one.

    Args:
        name: What the caller knows the value as.
        value: What was given.
        blank: Whether it may be empty or all white space.
        remedy: A sentence that says what to do; one is made up if it is empty.

    Raises:
        TypeError: It is no string.
        ValueError: It is blank.
    """
    wanted = "text" if blank else "text that is not blank"
    if not isinstance(value, str):
        raise TypeError(refusal(name, wanted, value, remedy or "Pass a string."))
    if not blank and not value.strip():
        raise ValueError(refusal(name, wanted, value, remedy or "Write something into it."))


def require_path(name: str, value: Any) -> Path:
    """The path that a string or a path object names; it need not exist.

    Raises:
        TypeError: It is neither of them.
        ValueError: It is empty or holds a zero byte.
    """
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(refusal(name, "a path", value, "Pass a string or a pathlib.Path."))
    text = os.fspath(value)
    if not text or "\0" in text:
        raise ValueError(refusal(name, "a path", text, "Name a file or a folder."))
    return Path(text)


def require_type(
    name: str, value: Any, types: type | tuple[type, ...], *, remedy: str = ""
) -> None:
    """Refuse an object of another type.

    Args:
        name: What the caller knows the value as.
        value: What was given.
        types: What is allowed.
        remedy: A sentence that says how to get one; one is made up if it is empty.

    Raises:
        TypeError: It is of none of the types.
    """
    if not isinstance(value, types):
        wanted = _type_names(types)
        raise TypeError(refusal(name, wanted, value, remedy or f"Pass {wanted}."))


def require_callable(name: str, value: Any) -> None:
    """Refuse what can't be called.

    Raises:
        TypeError: It is no function.
    """
    if not callable(value):
        raise TypeError(refusal(name, "a function", value, "Pass the function itself."))


def require_list(
    name: str,
    value: Any,
    types: type | tuple[type, ...],
    *,
    at_least: int = 0,
    remedy: str = "",
) -> tuple[Any, ...]:
    """The entries of a list or another iterable, each of some type.

    Args:
        name: What the caller knows the value as.
        value: What was given; a single string and a mapping are no lists.
        types: What the entries may be; True is no number.
        at_least: Smallest number of entries.
        remedy: A sentence that says what to do; one is made up if it is empty.

    Raises:
        TypeError: It is no list, or an entry is of another type.
        ValueError: There are too few entries.
    """
    wanted = f"a list, each entry {_type_names(types)}"
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise TypeError(refusal(name, wanted, value, remedy or "Pass a list: [...]."))
    try:
        entries = tuple(value)
    except TypeError:  # such as a tensor without axes
        raise TypeError(refusal(name, wanted, value, remedy or "Pass a list: [...].")) from None
    for place, entry in enumerate(entries):
        if not isinstance(entry, types) or (isinstance(entry, bool) and types is not bool):
            found = f"{found_as(entry)} at place {place}"
            raise TypeError(
                f"Expected {name} to be {wanted}; found {found}. "
                f"{remedy or 'Take it out, or write it otherwise.'}"
            )
    if len(entries) < at_least:
        raise ValueError(
            f"Expected {name} to have {at_least} or more entries; found {len(entries)}. "
            f"{remedy or 'Pass more.'}"
        )
    return entries


def require_span(
    name: str, value: Any, *, most: int | None = None, remedy: str = ""
) -> tuple[int, int]:
    """The two ends of a half-open span of positions.

    Args:
        name: What the caller knows the span as.
        value: What was given.
        most: Largest end allowed.
        remedy: A sentence that says what to do; one is made up if it is empty.

    Raises:
        TypeError: It is no pair of whole numbers.
        ValueError: It is empty, negative or out of range.
    """
    remedy = remedy or "Positions count from the first token of the prompt."
    pair = require_list(name, value, Integral, remedy=remedy)
    if len(pair) != 2 or not 0 <= pair[0] < pair[1] or (most is not None and pair[1] > most):
        end = "" if most is None else f" <= {most}"
        raise ValueError(
            f"Expected {name} as (start, stop) with 0 <= start < stop{end}; found {shown(value)}. "
            f"{remedy}"
        )
    return int(pair[0]), int(pair[1])


def _type_names(types: type | tuple[type, ...]) -> str:
    every = types if isinstance(types, tuple) else (types,)
    names = [
        {"str": "string", "Integral": "whole number"}.get(t.__name__, t.__name__) for t in every
    ]
    return " or ".join(f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}" for name in names)


def _range(
    at_least: int | float | None = None,
    at_most: int | float | None = None,
    above: int | float | None = None,
    below: int | float | None = None,
) -> str:
    """The allowed range in words, with a space in front."""
    if at_least is not None and at_most is not None:
        return f" from {at_least} to {at_most}"
    if at_least is not None:
        return f" of {at_least} or more"
    limits = [f"above {above}"] if above is not None else []
    limits += [f"below {below}"] if below is not None else []
    limits += [f"of {at_most} or less"] if at_most is not None else []
    return f" {' and '.join(limits)}" if limits else ""


def _require_inside(
    name: str,
    wanted: str,
    value: Any,
    limits: tuple[int | float | None, ...],
    remedy: str,
) -> None:
    at_least, at_most, above, below = limits
    inside = (
        (at_least is None or value >= at_least)
        and (at_most is None or value <= at_most)
        and (above is None or value > above)
        and (below is None or value < below)
    )
    if not inside:
        raise ValueError(refusal(name, wanted, value, remedy or "Choose one in this range."))


def _is_finite(value: Any) -> bool:
    """Whether a number is one that fp64 holds."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
