"""What this project needs to know about a TransformerBridge before it runs one."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch

from rh_lens.runtime.architecture import require_supported

# A `transformer_lens` TransformerBridge. Not imported here: that takes several seconds.
Bridge: TypeAlias = Any

# What `model.hooks(fwd_hooks=...)` takes: pairs of a hook name and `fn(tensor, hook)`.
FwdHooks: TypeAlias = Sequence[tuple[str | Callable[[str], bool], Callable[..., Any]]]


def require_bridge(model: Bridge) -> None:
    """Refuse what is not a TransformerBridge over a local decoder.

    Raises:
        TypeError: `model` is something else, such as a Hugging Face model or a model's name.
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
    """Device that token ids go to; the first one when the model is spread over several."""
    return torch.device(model.cfg.device)
