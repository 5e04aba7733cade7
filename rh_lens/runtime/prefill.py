"""Reading a prompt into the KV cache."""

from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.runtime.bridge import Bridge


def prefill(model: Bridge, tokens: Int[Tensor, "pos"]) -> Any:
    """KV cache that holds `tokens`, read in one pass through the bridge.

    The cache is the model's own kind: on sliding-window layers it keeps only the window, in hybrid
    models it carries the convolution or recurrent state. Only the last position's logits are
    computed. Bridge attention is eager, so the pass takes memory quadratic in the context.

    Args:
        model: A TransformerBridge.
        tokens: Token ids on the model's input device; may be empty.

    Returns:
        A Hugging Face cache for `forward_cached`, or None when there is nothing to read.

    Raises:
        ValueError: The model returns no KV cache.
    """
    if len(tokens) == 0:
        return None
    _, cache = model(tokens[None], return_type="logits_and_cache", use_cache=True, logits_to_keep=1)
    if cache is None:
        raise ValueError(
            f"Expected {model.cfg.model_name!r} to return a KV cache; found none. Models without a "
            "cache (boot_native, RWKV, Hyena ...) can't be decoded here: boot a Hugging Face "
            "transformer with TransformerBridge.boot_transformers."
        )
    return cache


def forward_cached(
    model: Bridge, tokens: Int[Tensor, "pos"], cache: Any
) -> tuple[Float[Tensor, "pos d_vocab"], Any]:
    """Logits of `tokens` read after what `cache` holds, and the cache that now holds them too.

    Args:
        model: A TransformerBridge.
        tokens: Token ids on the model's input device, one or more.
        cache: From `prefill` or an earlier call; None starts a new one. It grows in place.
    """
    logits, cache = model(
        tokens[None], return_type="logits_and_cache", past_key_values=cache, use_cache=True
    )
    return logits[0], cache
