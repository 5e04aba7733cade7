"""Naming an attention head, in every notation of the field."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from rh_lens.checks import found_as, require_text, require_whole_number, shown

_LABEL = re.compile(r"L(\d+)H(\d+)|(\d+)[-.](\d+)", re.IGNORECASE | re.ASCII)


MAX_INDEX = 9_999
"""Largest index of a layer or a head: beyond it lie mistakes, and tables that fill the memory."""


@dataclass(frozen=True, order=True)
class Head:
    """One attention head; heads sort by layer, then by index.

    Args:
        layer: Layer index, from 0.
        head: Query-head index inside the layer, from 0.

    Raises:
        TypeError: An index is no whole number.
        ValueError: An index is negative or above `MAX_INDEX`.
    """

    layer: int
    head: int

    def __post_init__(self) -> None:
        for name, index in (("layer", self.layer), ("head", self.head)):
            # Heads are made by the thousand: what is fine is not looked at twice.
            if type(index) is not int or not 0 <= index <= MAX_INDEX:
                remedy = "Count layers and heads from 0, never from the end."
                require_whole_number(name, index, at_least=0, at_most=MAX_INDEX, remedy=remedy)

    @property
    def label(self) -> str:
        """TransformerLens's label, such as `L16H19`."""
        return f"L{self.layer}H{self.head}"

    def __str__(self) -> str:
        return self.label

    @classmethod
    def parse(cls, label: str) -> "Head":
        """Head named by a label: `L16H19`, `16.19`, or `16-19` as in published score files.

        Raises:
            TypeError: An argument is of another type.
            ValueError: The label has none of these forms.
        """
        require_text("label", label, blank=True, remedy="Write it like L16H19.")
        match = _LABEL.fullmatch(label.strip())
        if match is None:
            raise ValueError(
                "Expected a head label such as 'L16H19', '16-19' or '16.19'; found "
                f"{shown(label, 40)}. Write the layer first, then the head, both counted from 0."
            )
        # Python reads no more than 4,300 digits; so many are too many in any case.
        layer, head = (int(digits[:9]) for digits in match.groups() if digits is not None)
        return cls(layer, head)

    def kv_group(self, n_heads: int, n_kv_heads: int) -> int:
        """Index of the key-value head this query head reads (grouped-query attention).

        Args:
            n_heads: Query heads in the layer.
            n_kv_heads: Key-value heads in the layer; they divide `n_heads`.

        Raises:
            TypeError: An argument is of another type.
            ValueError: The counts do not divide, or the layer has no such head.
        """
        require_whole_number("n_heads", n_heads, at_least=1)
        require_whole_number("n_kv_heads", n_kv_heads, at_least=1)
        if n_heads % n_kv_heads:
            raise ValueError(
                f"Expected n_kv_heads to divide n_heads; found {n_heads} query heads and "
                f"{n_kv_heads} key-value heads. Take both from the model's configuration."
            )
        if self.head >= n_heads:
            raise ValueError(
                f"Expected a head index below {n_heads}; found {self.label}. "
                "Check that the head belongs to this model."
            )
        return self.head // (n_heads // n_kv_heads)


HeadLike: TypeAlias = Head | tuple[int, int] | str
"""One head: a `Head`, (layer, head), "L2H4", "2-4" or "2.4"."""
HeadsLike: TypeAlias = HeadLike | Iterable[HeadLike] | Bool[Tensor, "layer head"]
"""One head, several, or a mask that is true where a head is meant."""


def as_heads(heads: object) -> tuple[Head, ...]:
    """The heads that any notation of the field names, in the order given.

    Args:
        heads: `HeadsLike`: one `Head`, `(2, 4)`, `"L2H4"`, `"2-4"` or `"2.4"`; several of them; or
            a boolean mask `[layer, head]`, a tensor or an array, read layer by layer. A column of
            labels will do too.

    Raises:
        TypeError: Something names no head, such as the number 2.4, which is head 4 or head 40.
        ValueError: A label has another form, an index is negative, or a mask is not
            `[layer, head]`.

    Examples:
        >>> as_heads(["L2H4", (2, 5), "0-1"])
        (Head(layer=2, head=4), Head(layer=2, head=5), Head(layer=0, head=1))
        >>> as_heads(np.eye(2, dtype=bool))
        (Head(layer=0, head=0), Head(layer=1, head=1))
    """
    if _names_one_head(heads):
        return (_as_head(heads),)
    if getattr(heads, "ndim", 1) != 1:
        return _heads_of_mask(heads)
    if not isinstance(heads, Iterable):
        raise _no_head(heads)
    return tuple(_as_head(head) for head in heads)


def _names_one_head(value: object) -> bool:
    is_pair = isinstance(value, tuple) and any(isinstance(part, Integral) for part in value)
    return is_pair or isinstance(value, Head | str)


def _as_head(value: object) -> Head:
    if isinstance(value, Head):
        return value
    if isinstance(value, str):
        return Head.parse(value)
    pair = tuple(value) if isinstance(value, tuple | list) else ()
    if len(pair) != 2 or not all(_is_index(part) for part in pair):
        raise _no_head(value)
    return Head(int(pair[0]), int(pair[1]))


def _is_index(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _heads_of_mask(mask: object) -> tuple[Head, ...]:
    values = mask.cpu().numpy() if isinstance(mask, Tensor) else np.asarray(mask)
    if values.dtype != bool or values.ndim != 2:
        raise ValueError(
            f"Expected a boolean mask [layer, head]; found {values.dtype} values of the shape "
            f"{list(values.shape)}. Compare scores with a threshold first, such as "
            "scores.mean() >= 0.1."
        )
    return tuple(Head(layer, head) for layer, head in np.argwhere(values).tolist())


def _no_head(value: object) -> TypeError:
    return TypeError(
        'Expected heads as Head(2, 4), (2, 4), "L2H4", "2-4" or "2.4", one or several, or a '
        f"boolean mask [layer, head]; found {found_as(value)}. Write the "
        "layer first, then the head."
    )


def every_head(n_layers: int, n_heads: int) -> list[Head]:
    """All heads of a grid, layer by layer.

    Args:
        n_layers: Number of layers.
        n_heads: Number of heads in each.
    """
    return [Head(layer, head) for layer in range(n_layers) for head in range(n_heads)]
