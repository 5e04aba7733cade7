"""Refusing tensors and arrays of another kind, shape or range."""

from collections.abc import Sequence
from typing import Any

from rh_lens.checks.messages import refusal, shown


def require_tensor(name: str, value: Any, axes: Sequence[str], *, whole: bool = False) -> None:
    """Refuse what is no tensor of numbers with these axes, none of them empty.

    Args:
        name: What the caller knows the value as.
        value: What was given.
        axes: Names of the axes; one that begins with "*" stands for any number of them.
        whole: Whether the numbers are whole ones, such as token ids.

    Raises:
        TypeError: It is no tensor.
        ValueError: It has other axes, no element, or values of another kind.
    """
    # Imported here: the command answers `--help` without it.
    import torch

    kind = "whole numbers" if whole else "numbers"
    wanted = f"a torch tensor of {kind} {_brackets(axes)}"
    if not isinstance(value, torch.Tensor):
        raise TypeError(refusal(name, wanted, value, "Make one with torch.tensor(...)."))
    is_float = value.dtype.is_floating_point
    fits_kind = (
        value.dtype != torch.bool and not value.dtype.is_complex and not (whole and is_float)
    )
    if not fits_kind or not _has_axes(value.ndim, axes) or not value.numel():
        found = f"{value.dtype} values of shape {list(value.shape)}"
        raise ValueError(f"Expected {name} to be {wanted}; found {found}. Bring it to this form.")


def require_array(
    name: str,
    value: Any,
    axes: Sequence[str],
    *,
    least: int | float | None = None,
    most: int | float | None = None,
    width: int | None = None,
) -> None:
    """Refuse what is no NumPy array of numbers with these axes, none of them empty.

    Args:
        name: What the caller knows the value as.
        value: What was given.
        axes: Names of the axes; one that begins with "*" stands for any number of them.
        least: Smallest number allowed; whole numbers only are, if it is one.
        most: Largest number allowed.
        width: Length of the last axis.

    Raises:
        TypeError: It is no array.
        ValueError: It has other axes, no element, or values of another kind or range.
    """
    import numpy as np

    kind = "whole numbers" if isinstance(least, int) else "numbers"
    inside = "" if least is None else f" from {least} to {most}"
    wanted = f"a NumPy array of {kind}{inside} {_brackets(axes)}"
    if not isinstance(value, np.ndarray):
        raise TypeError(refusal(name, wanted, value, "Make one with numpy.array(...)."))
    kinds = "iu" if isinstance(least, int) else "iuf"
    fits = value.dtype.kind in kinds and _has_axes(value.ndim, axes) and value.size > 0
    fits = fits and (width is None or value.shape[-1] == width)
    if not fits or (least is not None and not ((value >= least) & (value <= most)).all()):
        found = f"{value.dtype} values of shape {list(value.shape)}"
        if fits:
            found += f" from {value.min()} to {value.max()}"
        raise ValueError(f"Expected {name} to be {wanted}; found {found}. Bring it to this form.")


def require_table(name: str, value: Any, columns: Sequence[str], *, remedy: str) -> None:
    """Refuse what is no DataFrame with these columns.

    Args:
        name: What the caller knows the value as.
        value: What was given.
        columns: Columns that it must have.
        remedy: A sentence that says how to get one.

    Raises:
        TypeError: It is no DataFrame.
        ValueError: It lacks a column.
    """
    import pandas as pd

    wanted = f"a DataFrame with the columns {shown(list(columns))}"
    if not isinstance(value, pd.DataFrame):
        raise TypeError(refusal(name, wanted, value, remedy))
    missing = [column for column in columns if column not in value.columns]
    if missing:
        found = f"{shown(list(value.columns))}, without {shown(missing)}"
        raise ValueError(f"Expected {name} to be {wanted}; found {found}. {remedy}")


def _brackets(axes: Sequence[str]) -> str:
    return f"[{', '.join(axes)}]"


def _has_axes(n_axes: int, axes: Sequence[str]) -> bool:
    fixed = [axis for axis in axes if not axis.startswith("*")]
    return n_axes == len(fixed) or (len(fixed) < len(axes) and n_axes > len(fixed))
