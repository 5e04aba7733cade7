"""What a run needs to know of a model, by its configuration: one object for all of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from rh_lens.representation import short_repr
from rh_lens.runtime.configuration import (
    AttentionWindow,
    RopeLimit,
    attention_window,
    rope_limit,
    text_config,
)

# A `transformer_lens` TransformerBridge. Not imported here: that takes several seconds.
Bridge: TypeAlias = Any

# What `model.hooks(fwd_hooks=...)` takes: pairs of a hook name and `fn(tensor, hook)`.
FwdHooks: TypeAlias = Sequence[tuple[str | Callable[[str], bool], Callable[..., Any]]]
"""Forward hooks as `model.hooks(fwd_hooks=...)` takes them: name or filter, and function."""


def require_bridge(model: Bridge) -> None:
    """Refuse what is not a TransformerBridge over a local decoder.

    Raises:
        TypeError: `model` is something else, such as a Hugging Face model or a model's name.

    Examples:
        >>> require_bridge(model)
        >>> require_bridge("a name")
        Traceback (most recent call last):
            ...
        TypeError: Expected a TransformerBridge; found str. Boot one with ...
    """
    if not (hasattr(model, "blocks_with") and hasattr(model, "original_model")):
        raise TypeError(
            f"Expected a TransformerBridge; found {type(model).__name__}. Boot one with "
            "TransformerBridge.boot_transformers(name_or_folder); for a Hugging Face model that is "
            "already loaded, pass hf_model=model and tokenizer=tokenizer as well."
        )


def attention_layers(model: Bridge) -> tuple[int, ...]:
    """Indices of the layers that have attention, in order; hybrid models have others too.

    Raises:
        TypeError: `model` is not a TransformerBridge.
        ValueError: No layer has attention, or TransformerLens does not run the architecture as it
            has to: see `require_supported`.

    Examples:
        >>> attention_layers(model)
        (0, 1, 2, 3)
    """
    require_bridge(model)
    require_supported(getattr(model.original_model, "config", None))
    layers = tuple(index for index, _ in model.blocks_with("attn"))
    if not layers:
        raise ValueError(
            f"Expected a model with attention layers; found none in the {model.cfg.n_layers} "
            f"layers of {model.cfg.model_name!r}. Retrieval heads are attention heads: use a "
            "transformer, or a hybrid with some attention layers."
        )
    return layers


def input_device(model: Bridge) -> torch.device:
    """Device that token ids go to; the first one when the model is spread over several.

    Raises:
        TypeError: `model` is not a TransformerBridge.

    Examples:
        >>> input_device(model)
        device(type='cpu')
    """
    require_bridge(model)
    return torch.device(model.cfg.device)


@dataclass(frozen=True)
class CacheKind:
    """Whether a model's context can be shortened to a prefix of itself.

    Args:
        plain: True: a plain `DynamicCache()`, which keeps every key of every layer, also beyond a
            sliding window, and can be cropped. False: the model's own cache, which carries state.
        reason: Why, for a human reader.
    """

    plain: bool
    reason: str


@dataclass(frozen=True)
class Architecture:
    """What a run needs to know of a model.

    Args:
        layers: Indices of the layers with attention.
        n_heads: Query heads in a layer.
        n_kv_heads: Key-value heads in a layer.
        windows: What each layer with attention sees, by its index. A model without a Hugging Face
            configuration (TransformerLens's own) has no windows: its rows see the whole context.
        cache: Whether a context can be shortened to a prefix of itself.
        rope_limit: From which length on passes of different lengths rotate differently; None: from
            none.
    """

    layers: tuple[int, ...]
    n_heads: int
    n_kv_heads: int
    windows: Mapping[int, AttentionWindow]
    cache: CacheKind
    rope_limit: RopeLimit | None

    __repr__ = short_repr


def architecture_of(model: Bridge) -> Architecture:
    """What a run needs to know of a model, by its configuration.

    Raises:
        TypeError: `model` is not a TransformerBridge.
        ValueError: The model has no attention layers, or TransformerLens does not run it as it has
            to: see `require_supported`.

    Examples:
        >>> found = architecture_of(model)
        >>> found.n_heads, found.n_kv_heads, found.layers
        (8, 4, (0, 1, 2, 3))
    """
    layers, config = attention_layers(model), text_config(model)
    n_heads = int(model.cfg.n_heads)
    return Architecture(
        layers=layers,
        n_heads=n_heads,
        n_kv_heads=int(getattr(model.cfg, "n_key_value_heads", None) or n_heads),
        windows={layer: attention_window(config, layer) for layer in layers},
        cache=_cache_kind(config, len(layers), int(model.cfg.n_layers)),
        rope_limit=rope_limit(config),
    )


def _cache_kind(config: Any, n_attention: int, n_layers: int) -> CacheKind:
    """Kind of cache that answers are read with.

    Convolution and recurrent state (LFM2, Qwen3-Next, Bamba ...) holds the whole past in one
    number and can't be cut back: such hybrids keep the cache that Hugging Face makes for them.
    """
    from transformers import DynamicCache, PretrainedConfig

    if n_attention < n_layers:
        return CacheKind(False, f"{n_layers - n_attention} of {n_layers} layers carry state")
    own = DynamicCache(config=config).layers if isinstance(config, PretrainedConfig) else []
    kinds = {type(layer).__name__ for layer in own}
    others = sorted(kinds - {"DynamicLayer", "DynamicSlidingWindowLayer"})
    if others:
        return CacheKind(False, f"its layers are cached as {', '.join(others)}")
    return CacheKind(True, "every layer is attention over keys and values")


def require_supported(config: Any) -> None:
    """Refuse an architecture that TransformerLens does not run as this package needs it.

    Falcon's newer kind (40B, 180B, 11B) keeps the weights of queries, keys and values group by
    group; TransformerLens 4.3 takes them for three blocks, and fails or gives other logits.

    Args:
        config: Hugging Face configuration of a model; None, for a model without one, passes.

    Raises:
        ValueError: The model has an encoder, or is such a Falcon.

    Examples:
        >>> require_supported(model.original_model.config)
    """
    kind = getattr(config, "model_type", None)
    if getattr(config, "is_encoder_decoder", False):
        raise ValueError(
            f"Expected a decoder-only model; found {kind!r}, which has an encoder: its answer "
            "attends to the prompt in another way. Use a decoder such as Llama or Mistral."
        )
    if kind == "falcon" and getattr(config, "new_decoder_architecture", False):
        raise ValueError(
            "Expected an architecture that TransformerLens runs exactly; found falcon with "
            "new_decoder_architecture=True (the 40B style), whose attention weights it splits "
            "wrongly. Use another model; falcon-7b is fine."
        )
