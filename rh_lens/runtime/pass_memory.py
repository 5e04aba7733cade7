"""How much memory passes of many rows take: their rows, and what was freed between them."""

import ctypes
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import torch

from rh_lens.runtime.architecture import Bridge, FwdHooks, architecture_of
from rh_lens.runtime.speculation import FIRST_GUESS
from rh_lens.runtime.strategy import EAGER_CHUNK

# A pattern of all rows of a pass may take so much, or this part of the cache, if that is more.
_PATTERN_BYTES, _PART_OF_CACHE = 2**23, 1 / 16
# Passes, and layers of a pass, with smaller patterns leave the heap as it is: they free little.
_LARGE_BYTES, _LARGE_IN_LAYER = 2**20, 2**22


def cache_bytes(model: Bridge, n_tokens: int) -> int:
    """Bytes of the keys and values of some tokens, in all layers."""
    cfg, needs = model.cfg, architecture_of(model)
    size = torch.finfo(cfg.dtype).bits // 8
    return 2 * len(needs.layers) * needs.n_kv_heads * n_tokens * int(cfg.d_head) * size


def grown(n_tokens: int) -> int:
    """Tokens that a buffer makes room for when it was too small for so many: a little more."""
    return n_tokens + max(n_tokens // 16, 128)


def tokens_of_turn(
    n_context: int, lengths: Sequence[int], max_new_tokens: int, *, drafts: bool
) -> int:
    """Most tokens in the cache while a turn's questions are answered, refused guesses too.

    Args:
        n_context: Tokens that the prompts have in common.
        lengths: Tokens of each prompt.
        max_new_tokens: Longest answer, in tokens.
        drafts: Whether answers are guessed; at most 4/3 of a first guess is refused.
    """
    n_own = max_new_tokens + most_own_rows(max_new_tokens, drafts=drafts) * 4 // 3
    return n_context + sum(length - n_context + n_own for length in lengths)


def most_own_rows(max_new_tokens: int, *, drafts: bool) -> int:
    """Most rows of one answer in a pass: the last token, and guesses at those after it."""
    return min(max_new_tokens, FIRST_GUESS + 1) if drafts else 1


def pattern_bytes(model: Bridge, n_rows: int, n_keys: int) -> int:
    """Bytes of one layer's attention pattern, as the softmax makes it: in fp32."""
    return 4 * int(model.cfg.n_heads) * n_rows * n_keys


def most_eager_rows(model: Bridge, n_keys: int) -> int:
    """Rows of a pass through the bridge's own attention, beside so many keys.

    As many as a chunk of a prompt has, fewer where their pattern would be large beside the cache.

    Args:
        model: A TransformerBridge.
        n_keys: Tokens in the context, those of the pass among them.
    """
    room = max(_PATTERN_BYTES, _PART_OF_CACHE * cache_bytes(model, n_keys))
    return max(1, min(EAGER_CHUNK, int(room / pattern_bytes(model, 1, n_keys))))


def hand_back_freed(device: torch.device, n_bytes: int) -> None:
    """Give freed memory back to the system before a pass that allocates arrays of some size.

    Passes beside a growing context ask for ever larger arrays. None fits where the last one was
    freed, so that the C library's heap would grow by all of them. Elsewhere than on a CPU with the
    GNU C library there is nothing to do.

    Args:
        device: Where the pass runs.
        n_bytes: Size of its largest array.
    """
    trim = _trim()
    if trim is not None and device.type == "cpu" and n_bytes >= _LARGE_BYTES:
        trim(0)


def handing_back(places: Iterable[Any], device: torch.device, n_bytes: int) -> FwdHooks:
    """Hooks at some places that do so in the midst of a pass, where its arrays are large.

    Args:
        places: Hook points, one a layer.
        device: Where the pass runs.
        n_bytes: Size of its largest array.
    """
    if n_bytes < _LARGE_IN_LAYER:
        return []

    def hand_back(tensor: torch.Tensor, hook: Any) -> None:
        hand_back_freed(device, n_bytes)

    return [(place, hand_back) for place in dict.fromkeys(places)]


@cache
def _trim() -> Any:
    """The C library's function for it; None where it has none."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
