"""A KV cache that grows in place and can end a pass early.

Imported when needed: `transformers` takes a while.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from rh_lens.runtime.pass_memory import grown


class PassEndedError(Exception):
    """The last layer's keys are in the cache, and the pass was run for nothing else."""


class GrowingLayer(DynamicLayer):
    """One layer's keys and values, views of buffers with room for more.

    Hugging Face's own layer copies everything it holds whenever a token is added; this one writes
    the token after the others. Cutting back leaves the buffers as they are.

    Args:
        n_room: Tokens to make room for.
    """

    def __init__(self, n_room: int) -> None:
        super().__init__()
        self.n_room = n_room
        self._buffers: tuple[Tensor | None, Tensor | None] = (None, None)

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Store new keys and values; returns all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        n_held = self.get_seq_length()
        n_tokens = n_held + key_states.shape[-2]
        keys = self._written(self._buffers[0], key_states, n_held)
        values = self._written(self._buffers[1], value_states, n_held)
        self._buffers = keys, values
        self.keys, self.values = keys[..., :n_tokens, :], values[..., :n_tokens, :]
        return self.keys, self.values

    def keep(self, n_before: int, columns: Sequence[int]) -> None:
        """Keep the first tokens, and of those after them some only, which move up.

        Args:
            n_before: Tokens that stay where they are.
            columns: Where the others that stay are now, rising.
        """
        n_tokens = n_before + len(columns)
        keys, values = self._buffers
        assert keys is not None
        assert values is not None
        for buffer in (keys, values):
            kept = buffer[..., torch.tensor(columns, dtype=torch.long, device=buffer.device), :]
            buffer[..., n_before:n_tokens, :] = kept
        self.keys, self.values = keys[..., :n_tokens, :], values[..., :n_tokens, :]

    def _written(
        self, buffer: Tensor | None, new: Float[Tensor, "batch head pos d_head"], n_held: int
    ) -> Tensor:
        """The buffer, or a larger one, with the new tokens after the `n_held` first."""
        n_tokens = n_held + new.shape[-2]
        if buffer is None or buffer.shape[-2] < n_tokens:
            larger = max(self.n_room, n_tokens if buffer is None else grown(n_tokens))
            held, buffer = buffer, new.new_empty((*new.shape[:-2], larger, new.shape[-1]))
            if held is not None:
                buffer[..., :n_held, :] = held[..., :n_held, :]
        buffer[..., n_held:n_tokens, :] = new
        return buffer


class PrefixCache(DynamicCache):
    """Plain cache: every key of every layer, whatever windows the layers have.

    Args:
        n_layers: Number of layers that store keys.
        n_room: Tokens to make room for at once; more of them cost a copy.
    """

    def __init__(self, n_layers: int, n_room: int = 0) -> None:
        super().__init__()
        self.layer_class_to_replicate = partial(GrowingLayer, n_room)
        self.last_layer = n_layers - 1
        self.ends_passes = False

    def update(
        self, key_states: Any, value_states: Any, layer_idx: int, *args: Any, **kwargs: Any
    ) -> Any:
        """Store a layer's new keys and values; returns all of them."""
        stored = super().update(key_states, value_states, layer_idx, *args, **kwargs)
        if self.ends_passes and layer_idx == self.last_layer:
            raise PassEndedError
        return stored

    @contextmanager
    def ending_passes(self) -> Iterator[None]:
        """Context for one pass that ends as soon as the last layer's keys are in."""
        self.ends_passes = True
        try:
            yield
        except PassEndedError:
            pass
        finally:
            self.ends_passes = False
