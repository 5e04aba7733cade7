"""How a run reads its prompts: attention, cache, and what may be kept between prompts."""

from dataclasses import dataclass
from typing import Any

from rh_lens.runtime.attention import PrefillMethod, prefill_method
from rh_lens.runtime.bridge import Bridge
from rh_lens.runtime.cache import CacheKind, cache_kind
from rh_lens.runtime.execution import DEFAULT_EXECUTION, Execution
from rh_lens.runtime.rope import rope_limit


@dataclass(frozen=True, eq=False)
class Strategy:
    """How a run reads its prompts.

    Args:
        prefill: How a prompt is read into the cache.
        cache: What it is cached in.
        truncates: Whether a context may be cut back to a prefix and read on from there; prefixes
            are shared and drafts tried only then.
        resets: Whether the model remembers the longest context it saw and is made to forget it
            before each prompt (dynamic RoPE).
        silent: Attention hook points that do not fire while a prompt is read with SDPA.
        longest: Tokens that the cache makes room for at once.
    """

    prefill: PrefillMethod
    cache: CacheKind
    truncates: bool
    resets: bool = False
    silent: tuple[Any, ...] = ()
    longest: int = 0

    @property
    def obstacle(self) -> str:
        """Why a context may not be cut back, where it may not."""
        return self.cache.reason if not self.cache.plain else "its RoPE depends on the length"


def configured_strategy(
    model: Bridge, *, longest: int, execution: Execution = DEFAULT_EXECUTION
) -> Strategy:
    """Strategy for contexts of up to `longest` tokens, by the model's configuration alone.

    Raises:
        TypeError: `model` is not a TransformerBridge.
        ValueError: The model has no attention, or can't be read the way that was asked for.
    """
    cache, limit = cache_kind(model), rope_limit(model)
    beyond = limit is not None and longest >= limit.n_tokens
    return Strategy(
        prefill=prefill_method(model, execution, longest=longest, cache=cache, limit=limit),
        cache=cache,
        truncates=cache.plain and not beyond,
        resets=beyond and limit is not None and limit.kind == "dynamic",
        longest=longest,
    )
