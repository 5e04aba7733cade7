"""Values in messages: short, on one line, with what was probably meant."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Real
from reprlib import Repr
from typing import Any

MAX_SHOWN = 120
"""Characters of a value that a message shows at most."""

# Only as much of these is read as is shown; of any other object, the type.
_READABLE = (str, bytes, Real, type(None), list, tuple, set, frozenset, dict, os.PathLike)
# White space shrinks, so that a little more is read than is shown.
_MORE = 200


def refusal(name: str, wanted: str, value: Any, remedy: str) -> str:
    """The house's message: what was expected, what was found, what to do."""
    found = shown(value) if isinstance(value, (str, Real)) else found_as(value)
    return f"Expected {name} to be {wanted}; found {found}. {remedy}"


def shown(value: Any, most: int = MAX_SHOWN) -> str:
    """A value as it may appear in a message: on one line, and cut where it is long."""
    if isinstance(value, _READABLE):
        return _cut(_shown_in_part(value, most), most)
    shape = getattr(value, "shape", None)
    name = type(value).__name__
    article = "an" if name[0] in "aeiouAEIO" else "a"
    return f"{article} {name}" + (f" {list(shape)}" if isinstance(shape, tuple) else "")


def found_as(value: Any) -> str:
    """A value with its type, such as `'ten' (str)`, for a message about types."""
    text = shown(value)
    says_type = value is None or text.startswith(("a ", "an "))
    return text if says_type else f"{text} ({type(value).__name__})"


def _shown_in_part(value: Any, most: int) -> str:
    """What `repr` gives, of nested values the beginning only."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    elif isinstance(value, Real) and hasattr(value, "item"):  # NumPy's numbers
        value = value.item()
    part = Repr()
    part.maxstring = part.maxother = part.maxlong = most
    try:
        return part.repr(value[: 2 * most] if isinstance(value, (str, bytes)) else value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits.
        return "a very large number"


def _cut(text: str, most: int) -> str:
    text = " ".join(text[: most + _MORE].split())
    return text if len(text) <= most else f"{text[: most - 3]}..."


def did_you_mean(value: str, choices: Iterable[Any]) -> str:
    """A question that names the choice most like a value, or nothing where none is."""
    near = get_close_matches(value[:MAX_SHOWN], [str(choice) for choice in choices], n=1)
    return f"Did you mean {near[0]!r}?" if near else ""
