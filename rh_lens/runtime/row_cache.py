"""A KV cache whose rows hold different numbers of tokens.

Imported when needed: `transformers` takes a while.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache


class RowCache(DynamicCache):
    """Keys and values of rows, each token in the column of its position.

    A pass says first where its tokens stand (`place`); its mask says which columns a row sees.

    Args:
        held: Keys of every layer, and values of every layer, `[row head pos d_head]` with room for
            what comes.
    """

    def __init__(self, *held: list[Tensor]) -> None:
        super().__init__()
        self._held = held
        self.place(torch.zeros(1, 0, dtype=torch.long), 0)

    @classmethod
    def of(cls, cache: Any, rows: Sequence[Int[Tensor, " chosen"]], n_room: int) -> "RowCache":
        """Rows of another cache, copied.

        Args:
            cache: A plain cache.
            rows: Which of its rows, in each layer.
            n_room: Columns for tokens that come.
        """
        layers = list(zip(cache.layers, rows, strict=True))
        return cls(
            [_copied(layer.keys, own, n_room) for layer, own in layers],
            [_copied(layer.values, own, n_room) for layer, own in layers],
        )

    def place(self, columns: Int[Tensor, "row pos"], n_columns: int) -> None:
        """Say where the tokens of the next pass stand.

        Args:
            columns: Column of each token.
            n_columns: How many columns the pass sees.
        """
        self._columns, self._n_columns = columns, n_columns

    def keep(self, rows: Sequence[int]) -> None:
        """Keep some rows only."""
        for layers in self._held:
            for layer, tensor in enumerate(layers):
                layers[layer] = tensor[torch.tensor(rows, device=tensor.device)]

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Store a layer's new keys and values; returns all that the pass sees."""
        keys, values = (
            self._written(layers[layer_idx], new)
            for layers, new in zip(self._held, (key_states, value_states), strict=True)
        )
        return keys, values

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Columns before the pass, as far as that can be said of all rows."""
        return self._n_columns - self._columns.shape[1]

    def _written(self, held: Tensor, new: Float[Tensor, "row head pos d_head"]) -> Tensor:
        columns = self._columns.to(held.device)[:, None, :, None].expand(new.shape)
        return held.scatter_(2, columns, new)[:, :, : self._n_columns]


def _copied(
    held: Float[Tensor, "row head pos d_head"], rows: Int[Tensor, " chosen"], n_room: int
) -> Tensor:
    """Rows of one layer's keys or values, with room after them."""
    _, n_heads, n_tokens, d_head = held.shape
    copy = held.new_zeros((len(rows), n_heads, n_tokens + n_room, d_head))
    copy[:, :, :n_tokens] = held[rows.to(held.device)]
    return copy
