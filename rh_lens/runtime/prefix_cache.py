"""A KV cache that can end a pass early. Imported when needed: `transformers` takes a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import DynamicCache


class PassEndedError(Exception):
    """The last layer's keys are in the cache, and the pass was run for nothing else."""


class PrefixCache(DynamicCache):
    """Plain cache: every key of every layer, whatever windows the layers have.

    Args:
        n_layers: Number of layers that store keys.
    """

    def __init__(self, n_layers: int) -> None:
        super().__init__()
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
