"""How far back the rows of each attention layer can see."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Int
from torch import Tensor

from rh_lens.runtime.bridge import Bridge, attention_layers
from rh_lens.runtime.cache import text_config


@dataclass(frozen=True)
class Reach:
    """What one layer's causal mask leaves visible to the row at position p.

    Args:
        window: Sliding window in tokens: the row sees p - window + 1 up to p. None: no window.
        chunk: Chunk size in tokens: the row sees from the start of its own chunk. None: no chunks.
    """

    window: int | None = None
    chunk: int | None = None

    def first_visible(self, positions: Int[Tensor, " row"]) -> Int[Tensor, " row"]:
        """First key position that the rows at these positions can see."""
        if self.window is not None:
            return (positions - self.window + 1).clamp(min=0)
        if self.chunk is not None:
            return positions // self.chunk * self.chunk
        return positions * 0

    def cut_key_length(self, n_query: int) -> int | None:
        """Length of the key axis where the KV cache has dropped what the layer no longer sees.

        A config-aware Hugging Face cache keeps the last `window - 1` keys; the pass adds its own.
        None: the layer sees everything, so its keys are never dropped.
        """
        kept = self.window or self.chunk
        return None if kept is None else kept - 1 + n_query


def attention_reach(model: Bridge) -> Mapping[int, Reach]:
    """Reach of every layer with attention, by layer index, from the Hugging Face configuration.

    A model without one (TransformerLens's own) has no windows: its rows see the whole context.

    Raises:
        TypeError: `model` is not a TransformerBridge.
        ValueError: The model has no attention layers.
    """
    layers = attention_layers(model)
    config = text_config(model)
    return {layer: layer_reach(config, layer) for layer in layers}


def layer_reach(config: Any, layer: int) -> Reach:
    """Reach of one layer, by the rules with which `transformers` itself masks and caches.

    `layer_types` decides where a configuration has it (Qwen, Gemma, gpt-oss, Llama 4 ...),
    `attention_layers` for GPT-Neo; otherwise a `sliding_window` holds for every layer (Mistral,
    Phi3). `use_sliding_window=False` switches windows off.
    """
    kinds = getattr(config, "layer_types", None) or getattr(config, "attention_layers", None)
    kind = kinds[layer] if kinds else _uniform_kind(config)
    if "sliding" in kind:
        return Reach(window=config.sliding_window)
    if "chunked" in kind:
        return Reach(chunk=config.attention_chunk_size)
    if kind == "local":
        return Reach(window=config.window_size)
    return Reach()


def _uniform_kind(config: Any) -> str:
    """Layer kind of a configuration that treats all layers alike."""
    if getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True):
        return "sliding_attention"
    if getattr(config, "attention_chunk_size", None):
        return "chunked_attention"
    return "full_attention"
