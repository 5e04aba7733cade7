"""What kind of KV cache a model can be read with."""

from dataclasses import dataclass
from typing import Any

from rh_lens.runtime.bridge import Bridge, attention_layers


@dataclass(frozen=True)
class CacheKind:
    """Whether a model's context can be shortened to a prefix of itself.

    Args:
        plain: True: a plain `DynamicCache()`, which keeps every key of every layer, also behind a
            sliding window, and can be cropped. False: the model's own cache, which carries state.
        reason: Why, for a human reader.
    """

    plain: bool
    reason: str


def cache_kind(model: Bridge) -> CacheKind:
    """Kind of cache that answers are read with.

    Convolution and recurrent state (LFM2, Qwen3-Next, Bamba ...) holds the whole past in one
    number and can't be cut back: such hybrids keep the cache that Hugging Face makes for them.

    Raises:
        TypeError: `model` is not a TransformerBridge.
        ValueError: The model has no attention layers.
    """
    n_attention, n_layers = len(attention_layers(model)), int(model.cfg.n_layers)
    if n_attention < n_layers:
        return CacheKind(False, f"{n_layers - n_attention} of {n_layers} layers carry state")
    kinds = {type(layer).__name__ for layer in _own_layers(model)}
    others = sorted(kinds - {"DynamicLayer", "DynamicSlidingWindowLayer"})
    if others:
        return CacheKind(False, f"its layers are cached as {', '.join(others)}")
    return CacheKind(True, "every layer is attention over keys and values")


def text_config(model: Bridge) -> Any:
    """Hugging Face configuration of the language model; None for TransformerLens's own models."""
    config: Any = getattr(model.original_model, "config", None)
    if hasattr(config, "get_text_config"):
        config = config.get_text_config(decoder=True)
    return config


def _own_layers(model: Bridge) -> list[Any]:
    """Layers of the cache that Hugging Face would make for this model."""
    from transformers import DynamicCache, PretrainedConfig

    config = text_config(model)
    return DynamicCache(config=config).layers if isinstance(config, PretrainedConfig) else []
