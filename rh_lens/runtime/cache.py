"""What kind of KV cache a model can be read with."""

from dataclasses import dataclass
from typing import Any

import torch

from rh_lens.runtime.bridge import Bridge, attention_layers, input_device
from rh_lens.runtime.inference import inference
from rh_lens.runtime.quiet import without_hooks


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


class NoCacheError(ValueError):
    """A model has no KV cache."""


def require_cache(model: Bridge, cache: Any) -> None:
    """Refuse a model that gave no KV cache.

    Raises:
        NoCacheError: `cache` is None.
    """
    if cache is None:
        raise NoCacheError(
            f"Expected {model.cfg.model_name!r} to return a KV cache; found none. Models without a "
            "cache (BERT and other encoders, boot_native, RWKV, Hyena ...) can't be decoded here: "
            "boot a Hugging Face decoder with TransformerBridge.boot_transformers."
        )


def require_decoder(model: Bridge) -> None:
    """Refuse a model that can't answer token by token from a KV cache, after a pass of one token.

    Raises:
        TypeError: `model` is not a TransformerBridge.
        ValueError: It has no attention or no KV cache, or its architecture is not supported.
    """
    attention_layers(model)
    token = torch.zeros((1, 1), dtype=torch.long, device=input_device(model))
    with inference(model), without_hooks(model):
        _, cache = model(token, return_type="logits_and_cache", use_cache=True)
    require_cache(model, cache)


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
