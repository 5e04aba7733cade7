"""Reading a prompt into the KV cache, and reading on from there."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.runtime.bridge import Bridge


@dataclass(eq=False)
class Context:
    """A model with the tokens it has read so far.

    Args:
        model: A TransformerBridge.
        cache: Hugging Face KV cache of those tokens; None before the first one.
        n_read: How many they are.
        takes_positions: Whether the model may be told the positions of new tokens. Most models
            derive them from the cache, but some (Bamba) count every pass from 0.
    """

    model: Bridge
    cache: Any
    n_read: int
    takes_positions: bool

    def read(self, tokens: Int[Tensor, "pos"]) -> Float[Tensor, "pos d_vocab"]:
        """Logits of the next tokens, one or more, which are then part of the context.

        Args:
            tokens: Token ids on the model's input device.
        """
        end = self.n_read + len(tokens)
        positions = torch.arange(self.n_read, end, device=tokens.device)
        told = {"position_ids": positions[None]} if self.takes_positions else {}
        logits, self.cache = self.model(
            tokens[None],
            return_type="logits_and_cache",
            past_key_values=self.cache,
            use_cache=True,
            **told,
        )
        self.n_read = end
        return logits[0]


def prefill(model: Bridge, tokens: Int[Tensor, "pos"]) -> Context:
    """Context of a prompt's tokens, read in one pass through the bridge.

    The cache is the model's own kind: on sliding-window layers it keeps only the window, in hybrid
    models it carries the convolution or recurrent state. Only the last position's logits are
    computed. Bridge attention is eager, so the pass takes memory quadratic in the context.

    Args:
        model: A TransformerBridge.
        tokens: Token ids on the model's input device; may be empty.

    Raises:
        ValueError: The model returns no KV cache.
    """
    from transformer_lens.utilities.position_ids import accepts_mask_derived_position_ids

    takes_positions = accepts_mask_derived_position_ids(model.original_model)
    if len(tokens) == 0:
        return Context(model, None, 0, takes_positions)
    _, cache = model(tokens[None], return_type="logits_and_cache", use_cache=True, logits_to_keep=1)
    if cache is None:
        raise ValueError(
            f"Expected {model.cfg.model_name!r} to return a KV cache; found none. Models without a "
            "cache (boot_native, RWKV, Hyena ...) can't be decoded here: boot a Hugging Face "
            "transformer with TransformerBridge.boot_transformers."
        )
    return Context(model, cache, len(tokens), takes_positions)
