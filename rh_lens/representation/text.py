"""Results as text: one line each, however much they hold, and short tables."""

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from html import escape
from typing import Any

import pandas as pd

_MAX_TEXT = 60
_MAX_ITEMS = 4


def short_repr(result: Any) -> str:
    """One line that names a dataclass's fields, each by its value or by how much it holds.

    Written into a class as `__repr__ = short_repr`: tensors become `float64[120, 4, 8]`, tables
    `120 rows x 12 columns`, long collections `120 Trial`, long texts are cut.

    Examples:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True, repr=False)
        ... class Pair:
        ...     a: int
        ...     b: list
        ...     __repr__ = short_repr
        >>> Pair(1, [0] * 50)
        Pair(a=1, b=50 int)
    """
    parts = [f"{field.name}={brief(getattr(result, field.name))}" for field in fields(result)]
    return f"{type(result).__name__}({', '.join(parts)})"


def brief(value: Any) -> str:
    """A value in a few words: itself where it is short, and else what it is and how large.

    Examples:
        >>> brief(0.5), brief(np.zeros((4, 8))), brief([1] * 100)
        ('0.5', 'float64[4, 8]', '100 int')
    """
    if isinstance(value, pd.DataFrame):
        return f"{len(value)} rows x {len(value.columns)} columns"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, str):
        return cut(repr(value))
    if is_dataclass(value) and not isinstance(value, type):
        text = repr(value)
        return text if len(text) <= _MAX_TEXT and "\n" not in text else type(value).__name__
    if isinstance(value, Collection):
        return _brief_collection(value)
    return cut(repr(value))


def cut(text: str, most: int = _MAX_TEXT) -> str:
    """A text on one line, cut in its middle where it is long.

    Examples:
        >>> cut("a sentence of some length", 15)
        'a sent...length'
    """
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    half = (most - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def html_table(table: pd.DataFrame, caption: str, *, n_rows: int = 10) -> str:
    """The first rows of a table as HTML, with a caption that is escaped.

    Examples:
        >>> import pandas as pd
        >>> html_table(pd.DataFrame({"head": ["L2H4"]}), "Best & only").count("<td>")
        1
    """
    shown = table.head(n_rows).to_html(index=False, border=0, float_format=lambda x: f"{x:.3f}")
    more = len(table) - n_rows
    rest = f"<div>... and {more} more rows</div>" if more > 0 else ""
    return f"<div>{escape(caption)}</div>{shown}{rest}"


def _brief_collection(value: Collection[Any]) -> str:
    """Short ones as they are, others by their number and the type of the first."""
    text = repr(value) if len(value) <= _MAX_ITEMS and _is_plain(value) else ""
    if text and len(text) <= _MAX_TEXT:
        return text
    first = next(iter(value.values() if isinstance(value, Mapping) else value), None)
    return f"{len(value)} {type(first).__name__}" if len(value) else repr(value)


def _is_plain(value: Collection[Any]) -> bool:
    """Whether all items are numbers, texts or None: nothing that could be large."""
    items = [*value, *value.values()] if isinstance(value, Mapping) else value
    return all(isinstance(item, str | int | float | None) for item in items)
