"""How a prompt's attention is computed while only its keys and values are wanted."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from rh_lens.runtime.bridge import Bridge, input_device
from rh_lens.runtime.cache import CacheKind
from rh_lens.runtime.exclusive import exclusive_use
from rh_lens.runtime.execution import Execution
from rh_lens.runtime.rope import RopeLimit

PrefillName: TypeAlias = Literal["sdpa", "chunked", "whole"]

# Prompts up to this many tokens cost the bridge no more than SDPA does.
SHORT = 256
# Tokens a pass. Eager attention keeps several arrays of heads x chunk x context numbers, SDPA only
# a mask of chunk x context; a GPU wants long passes, a CPU short ones.
EAGER_CHUNK, SDPA_CHUNK_CPU, SDPA_CHUNK_GPU = 128, 512, 4096


@dataclass(frozen=True)
class PrefillMethod:
    """How prompts are read into the cache.

    Args:
        name: "sdpa": Hugging Face's fused attention inside the bridge. "chunked": the bridge's own
            eager attention, some tokens a pass. "whole": the bridge's own, the prompt in one pass.
        reason: Why this one, for a human reader.
        chunk: Tokens a pass; None reads a prompt in one pass.
    """

    name: PrefillName
    reason: str
    chunk: int | None


def prefill_method(
    model: Bridge,
    execution: Execution,
    *,
    longest: int,
    cache: CacheKind,
    limit: RopeLimit | None,
) -> PrefillMethod:
    """How to read prompts with this model, by its configuration alone.

    Args:
        model: A TransformerBridge.
        execution: Which method, or "auto", and its chunks.
        longest: Tokens of the longest prompt and its answer.
        cache: What the model can be cached in.
        limit: The model's `rope_limit`.

    Raises:
        ValueError: The model can't be read that way.
    """
    beyond = limit is not None and longest >= limit.n_tokens
    one_pass = beyond or not cache.plain
    prefill, chunk = execution.prefill, execution.chunk
    if prefill == "auto":
        return _automatic(model, chunk, longest, cache, limit if beyond else None)
    if prefill == "sdpa":
        if obstacle := sdpa_obstacle(model):
            raise ValueError(
                f'Expected a model that SDPA can read; found that {obstacle}. Use prefill="auto".'
            )
        return PrefillMethod("sdpa", "asked for", None if one_pass else chunk or sdpa_chunk(model))
    if prefill == "chunked":
        if one_pass:
            cause = _length_reason(limit) if beyond and limit else f"its cache: {cache.reason}"
            raise ValueError(
                "Expected a model whose prompt may be read in pieces; found that it may not: "
                f'{cause}. Use prefill="auto".'
            )
        return PrefillMethod("chunked", "asked for", chunk or EAGER_CHUNK)
    return PrefillMethod("whole", "asked for", None)


def _automatic(
    model: Bridge, chunk: int | None, longest: int, cache: CacheKind, beyond: RopeLimit | None
) -> PrefillMethod:
    """The fastest method that is exact for this model."""
    if longest <= SHORT:
        return PrefillMethod("whole", f"no context exceeds {SHORT} tokens", None)
    obstacle = sdpa_obstacle(model)
    if beyond is not None or not cache.plain:
        cause = _length_reason(beyond) if beyond else cache.reason
        if obstacle is None:
            return PrefillMethod("sdpa", f"in one pass: {cause}", None)
        return through_the_bridge(f"{obstacle}; in one pass: {cause}", chunk, in_pieces=False)
    if obstacle is None:
        return PrefillMethod("sdpa", "the architecture supports it", chunk or sdpa_chunk(model))
    return through_the_bridge(obstacle, chunk, in_pieces=True)


def through_the_bridge(reason: str, chunk: int | None, *, in_pieces: bool) -> PrefillMethod:
    """The bridge's own eager attention, for a model that SDPA is not for."""
    if in_pieces:
        return PrefillMethod("chunked", reason, chunk or EAGER_CHUNK)
    return PrefillMethod("whole", reason, None)


def sdpa_chunk(model: Bridge) -> int:
    """Tokens that SDPA reads in one pass."""
    return SDPA_CHUNK_CPU if input_device(model).type == "cpu" else SDPA_CHUNK_GPU


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
        ValueError: The architecture does not support SDPA.
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
    configs = {
        id(module.config): module.config
        for module in model.original_model.modules()
        if hasattr(getattr(module, "config", None), "_attn_implementation_internal")
    }
    return [(config, config._attn_implementation_internal) for config in configs.values()]


def _length_reason(limit: RopeLimit) -> str:
    return f"its {limit.kind} RoPE depends on the length from {limit.n_tokens} tokens on"
