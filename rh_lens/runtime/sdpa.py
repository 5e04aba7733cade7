"""Hugging Face's fused attention (SDPA) inside the bridge, where only keys are wanted."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from rh_lens.runtime.architecture import Bridge
from rh_lens.runtime.exclusive import exclusive_use
from rh_lens.runtime.inference import all_modules


def sdpa_obstacle(model: Bridge) -> str | None:
    """Why a model can't be read with SDPA, as far as its class says; None when it can."""
    hf_model = model.original_model
    name = type(hf_model).__name__
    if not getattr(hf_model, "_supports_sdpa", False):
        return f"{name} has no SDPA"
    if not getattr(hf_model, "_can_set_attn_implementation", bool)():
        return f"the attention of {name} can't be exchanged"
    if getattr(model, "compatibility_mode", False):
        return "compatibility mode has changed weights that SDPA would read unchanged"
    return None


@contextmanager
def sdpa_attention(model: Bridge) -> Iterator[None]:
    """Context in which every attention layer runs Hugging Face's SDPA instead of the bridge's own.

    Queries, keys, values and `hook_z` still pass through the bridge's projections; scores and
    patterns are not computed, and their hooks do not fire. Afterwards all is as it was.

    Raises:
        ModelInUseError: Another thread is using the model.
        TypeError: `model` is not a TransformerBridge.
        ValueError: The architecture does not support SDPA.

    Examples:
        >>> with sdpa_attention(model):
        ...     logits = model(prompt.tokens[None])
        >>> logits.shape
        torch.Size([1, 128, 2048])
    """
    with exclusive_use(model):
        configs = _attention_configs(model)
        modules = [block.attn for _, block in model.blocks_with("attn")]
        swapped: list[tuple[Any, str, Any]] = []
        try:
            model.original_model.set_attn_implementation("sdpa")
            for module in modules:
                swapped += _swap_raw_projection(module)
                # The bridge redirects plain attribute assignment to the Hugging Face module.
                module.__dict__["forward"] = partial(_forward_to_original, module)
            yield
        finally:
            for module in modules:
                module.__dict__.pop("forward", None)
            for parent, name, raw in swapped:
                parent._modules[name] = raw
            for config, implementation in configs:
                config._attn_implementation_internal = implementation


def _forward_to_original(module: Any, *args: Any, **kwargs: Any) -> Any:
    """What a bridge component without a forward of its own does: its hooks around the original."""
    from transformer_lens.model_bridge.generalized_components.base import GeneralizedComponent

    return GeneralizedComponent.forward(module, *args, **kwargs)


def _swap_raw_projection(module: Any) -> list[tuple[Any, str, Any]]:
    """Put the bridge's output projection, which has `hook_z`, where the original has a raw one.

    Returns what to put back: parent, name and raw module. Only GPT-2's kind of layer needs it.
    """
    projection, original = getattr(module, "o", None), module.original_component
    name = str(getattr(projection, "name", ""))
    raw = original._modules.get(name)
    if raw is None or raw is projection:
        return []
    original._modules[name] = projection
    return [(original, name, raw)]


def _attention_configs(model: Bridge) -> list[tuple[Any, Any]]:
    """Every configuration in the model that names an attention implementation, and the name."""
    named: list[Any] = [getattr(m, "config", None) for m in all_modules(model.original_model)]
    configs = {id(c): c for c in named if hasattr(c, "_attn_implementation_internal")}
    return [(config, config._attn_implementation_internal) for config in configs.values()]
