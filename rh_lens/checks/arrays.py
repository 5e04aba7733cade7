"""Refusing tensors and arrays of another kind, shape or range."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rh_lens.checks.messages import refusal, shown


def require_tensor(
    name: str, value: Any, axes: Sequence[str], *, whole: bool = False, empty: bool = False
) -> None:
    """Refuse what is no tensor of numbers with these axes.

    Args:
        name: What the caller knows the value as.
        value: What was given.
        axes: Names of the axes; one that begins with "*" is any number of them.
        whole: Whether the numbers are whole ones, such as token ids.
        empty: Whether an axis may be empty.

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
    if not fits_kind or not _has_axes(value.ndim, axes) or not (value.numel() or empty):
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
        axes: Names of the axes; one that begins with "*" is any number of them.
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


def require_numbers(
    name: str,
    value: Any,
    *,
    n_axes: Sequence[int] = (1,),
    least: float | None = None,
    most: float | None = None,
) -> Any:
    """The finite numbers of a list, a column or an array, as an fp64 array; none of them missing.

    Args:
        name: What the caller knows the value as.
        value: What was given.
        n_axes: Numbers of axes that it may have.
        least: Smallest number allowed.
        most: Largest number allowed.

    Raises:
        TypeError: It holds no numbers.
        ValueError: There are none, one is NaN, infinite or out of range, or it has other axes.
    """
    import numpy as np

    inside = "" if least is None else f" from {least} to {most}"
    wanted = f"a list of finite numbers{inside}"
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        numbers = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise TypeError(refusal(name, wanted, value, "Pass a list or an array.")) from None
    good = np.isfinite(numbers)
    if least is not None and most is not None:
        good &= (numbers >= least) & (numbers <= most)
    if numbers.ndim not in n_axes or not numbers.size or not good.all():
        n_bad = int((~good).sum())
        axes = "one axis" if tuple(n_axes) == (1,) else f"{' or '.join(map(str, n_axes))} axes"
        found = f"an array {list(numbers.shape)} with {n_bad} that are NaN or out of range"
        raise ValueError(
            f"Expected {name} to be {wanted}, with {axes}; found "
            f"{found}. Leave out what was not measured."
        )
    return numbers


def require_labels(name: str, value: Any, n: int, of: str) -> Any:
    """Labels of so many values, as an array.

    Args:
        name: What the caller knows the labels as.
        value: What was given: a list, a column or an array.
        n: How many there must be.
        of: What the caller knows the values as.

    Raises:
        TypeError: It is no list.
        ValueError: There are more or fewer, or they have several axes.
    """
    import numpy as np

    wanted = f"a list with a label for each of the {n} {of}"
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise TypeError(refusal(name, wanted, value, "Pass the name of each one's group."))
    labels = np.asarray(value if hasattr(value, "__array__") else list(value))
    if labels.shape != (n,):
        raise ValueError(
            f"Expected {name} to be {wanted}; found an array {list(labels.shape)}. Give each value "
            "one label."
        )
    return labels
