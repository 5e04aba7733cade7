"""A KV cache whose key-value groups keep different stretches of the context."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import Cache, DynamicCache, PreTrainedConfig
from transformers.cache_utils import CacheLayerMixin, DynamicLayer

from rh_lens.checks import require_type


@dataclass(frozen=True, eq=False)
class BandStates:
    """Keys and values that the queries of one pass may see, of the groups of one band.

    Args:
        groups: Key-value groups, in ascending order.
        window: How many positions a query sees, itself included, beside the sinks; inf for all.
        keys: Those kept before the pass, then those of the pass.
        values: Likewise.
        n_kept: How many of them were kept before the pass.
        n_dropped: Positions behind the sinks that are no longer there.
    """

    groups: tuple[int, ...]
    window: float
    keys: Float[Tensor, "batch group kept_and_new d_head"]
    values: Float[Tensor, "batch group kept_and_new d_head"]
    n_kept: int
    n_dropped: int


@dataclass(frozen=True, eq=False)
class HeadwiseStates:
    """What a layer of the cache hands the attention function in place of keys and of values.

    Args:
        bands: The layer's groups, those with equal windows together.
        sink: First positions that every query sees.
    """

    bands: tuple[BandStates, ...]
    sink: int


@dataclass(eq=False)
class _Band:
    """The groups of a layer with the same window, and what they keep."""

    groups: tuple[int, ...]
    window: float
    keys: Tensor | None = None
    values: Tensor | None = None

    def extended(self, keys: Tensor, values: Tensor, n_seen: int) -> BandStates:
        """What is kept, and a pass's own keys and values behind it."""
        if len(self.groups) < keys.shape[1]:
            chosen = torch.tensor(self.groups, device=keys.device)
            keys, values = keys.index_select(1, chosen), values.index_select(1, chosen)
        n_kept = 0 if self.keys is None else self.keys.shape[2]
        # A copy even where nothing was kept: the pass's own may be views of a larger projection.
        keys = torch.cat([each for each in (self.keys, keys) if each is not None], dim=2)
        values = torch.cat([each for each in (self.values, values) if each is not None], dim=2)
        return BandStates(self.groups, self.window, keys, values, n_kept, n_seen - n_kept)

    def keep(self, states: BandStates, sink: int) -> None:
        """Keep the sinks and what the next query sees; give the rest back."""
        self.keys, self.values = (self._kept(each, sink) for each in (states.keys, states.values))

    def _kept(self, states: Tensor, sink: int) -> Tensor:
        n_states = states.shape[2]
        # A query is within its own window.
        if n_states <= sink + self.window - 1:
            return states
        recent = states[:, :, max(sink, n_states - int(self.window) + 1) :]
        return torch.cat([states[:, :, :sink], recent], dim=2)

    def change_rows(self, change: Any) -> None:
        """Replace keys and values by what `change` makes of them."""
        if self.keys is not None and self.values is not None:
            self.keys, self.values = change(self.keys), change(self.values)


class HeadwiseLayer(DynamicLayer):
    """One layer of a `HeadwiseCache`.

    Its `update` returns `HeadwiseStates` twice: only the attention function of `headwise_attention`
    understands them.

    Args:
        windows: Positions that a query of each group sees, itself included; inf for all.
        sink: First positions that all queries see.
    """

    is_croppable = False

    def __init__(self, windows: Sequence[float], sink: int) -> None:
        super().__init__()
        self.sink = sink
        self.n_seen = 0
        groups_of: dict[float, list[int]] = {}
        for group, window in enumerate(windows):
            groups_of.setdefault(window, []).append(group)
        self.bands = [_Band(tuple(groups), window) for window, groups in groups_of.items()]

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Take a pass's keys and values, and return what its queries may see, twice."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        states = [band.extended(key_states, value_states, self.n_seen) for band in self.bands]
        for band, extended in zip(self.bands, states, strict=True):
            band.keep(extended, self.sink)
        self.n_seen += key_states.shape[2]
        seen = HeadwiseStates(tuple(states), self.sink)
        return seen, seen

    def get_seq_length(self) -> int:
        """Positions that have passed, kept or not."""
        return self.n_seen

    def nbytes(self) -> int:
        """Allocated bytes of the keys and values that are kept."""
        kept = [t for band in self.bands for t in (band.keys, band.values) if t is not None]
        return sum(tensor.untyped_storage().nbytes() for tensor in kept)

    def reset(self) -> None:
        """Forget everything."""
        self.n_seen = 0
        for band in self.bands:
            band.keys = band.values = None
        self.is_initialized = False

    def crop(self, tokens_to_remove: int) -> None:
        """Refused: what was dropped cannot come back.

        Raises:
            ValueError: There is something to crop.
        """
        if tokens_to_remove and self.n_seen:
            raise ValueError(
                f"Expected a cache that only grows; found {tokens_to_remove} tokens to remove. "
                "Begin a new HeadwiseCache: a window that has moved on cannot go back."
            )

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Rows in another order, for beam search."""
        self.batch_select_indices(beam_idx)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep the rows of `indices`, in their order."""
        self._change_rows(lambda states: states[indices.to(states.device)])

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Every row `repeats` times."""
        self._change_rows(lambda states: states.repeat_interleave(repeats, dim=0))

    def _change_rows(self, change: Any) -> None:
        for band in self.bands:
            band.change_rows(change)


class HeadwiseCache(Cache):
    """A KV cache whose key-value groups keep different stretches of the context, in real memory.

    Every query sees the first `sink` positions, and of the others the last ones within its group's
    window, itself included (StreamingLLM, arXiv:2309.17453, a group at a time as in DuoAttention,
    arXiv:2410.10819). Positions keep their numbers. Layers that have no full attention (a sliding
    window of the model's own, a recurrent state) keep the cache that Hugging Face gives them.

    Needs the attention function of `headwise_attention`, which makes such caches.

    Args:
        config: The model's text configuration.
        windows: Positions that each group's queries see; inf keeps the whole context.
        sink: First positions that every group keeps.
    """

    def __init__(
        self, config: PreTrainedConfig, windows: Float[Tensor, "layer group"], sink: int
    ) -> None:
        layers: list[CacheLayerMixin] = list(DynamicCache(config=config).layers)
        for index, layer in enumerate(layers):
            if type(layer) is DynamicLayer:
                layers[index] = HeadwiseLayer(windows[index].tolist(), sink)
        super().__init__(layers=layers)


def cache_bytes(cache: Cache) -> int:
    """Allocated bytes of the keys and values in a Hugging Face cache, of any kind of layer.

    Args:
        cache: A `HeadwiseCache`, `DynamicCache` or another; layers that are not filled count 0.

    Raises:
        TypeError: It is no cache.

    Examples:
        >>> output = model.original_model(prompt.tokens[None], use_cache=True)
        >>> cache_bytes(output.past_key_values)  # 2 x 4 layers x 4 groups x 128 x 32 x 4 bytes
        524288
    """
    require_type("cache", cache, Cache, remedy="Pass what generate took as past_key_values.")
    return sum(_layer_bytes(layer) for layer in cache.layers)


def _layer_bytes(layer: Any) -> int:
    if isinstance(layer, HeadwiseLayer):
        return layer.nbytes()
    tensors = (getattr(layer, name, None) for name in ("keys", "values"))
    return sum(t.untyped_storage().nbytes() for t in tensors if isinstance(t, Tensor))
