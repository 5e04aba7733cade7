"""Naming an attention head."""

import re
from dataclasses import dataclass

_LABEL = re.compile(r"(?:L(\d+)H(\d+)|(\d+)-(\d+))", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, order=True)
class Head:
    """One attention head; heads sort by layer, then by index.

    Args:
        layer: Layer index, from 0.
        head: Query-head index inside the layer, from 0.

    Raises:
        ValueError: An index is negative.
    """

    layer: int
    head: int

    def __post_init__(self) -> None:
        if self.layer < 0 or self.head < 0:
            raise ValueError(
                f"Expected layer and head indices of 0 or more; found layer {self.layer}, "
                f"head {self.head}. Count both from 0, never from the end."
            )

    @property
    def label(self) -> str:
        """TransformerLens's label, such as `L16H19`."""
        return f"L{self.layer}H{self.head}"

    def __str__(self) -> str:
        return self.label

    @classmethod
    def parse(cls, label: str) -> "Head":
        """Head named by a label: `L16H19`, or `16-19` as in published score files.

        Raises:
            ValueError: The label has neither form.
        """
        match = _LABEL.fullmatch(label.strip())
        if match is None:
            raise ValueError(
                f"Expected a head label such as 'L16H19' or '16-19'; found {label!r}. "
                "Write the layer first, then the head, both counted from 0."
            )
        layer, head = (int(digits) for digits in match.groups() if digits is not None)
        return cls(layer, head)

    def kv_group(self, n_heads: int, n_kv_heads: int) -> int:
        """Index of the key-value head this query head reads (grouped-query attention).

        Args:
            n_heads: Query heads in the layer.
            n_kv_heads: Key-value heads in the layer; they divide `n_heads`.

        Raises:
            ValueError: The counts do not divide, or the layer has no such head.
        """
        if n_kv_heads < 1 or n_heads % n_kv_heads:
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
