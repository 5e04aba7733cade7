"""Sequences to look for heads with: random tokens, repeated, and pieces of text."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from rh_lens.checks import require_list, require_seed, require_whole_number
from rh_lens.runtime import Bridge, require_bridge

# Longest sequence, of all repeats together.
_MAX_TOKENS = 1_000_000


def repeated_random_tokens(
    model: Bridge,
    *,
    n_tokens: int = 64,
    n_repeats: int = 2,
    n_sequences: int = 10,
    seed: int = 0,
    exclude: Sequence[int] = (),
) -> list[Int[Tensor, " pos"]]:
    """Random distinct tokens, repeated, after the BOS if the tokenizer has one.

    Args:
        model: A TransformerBridge.
        n_tokens: Tokens in one repeat; no two of them alike.
        n_repeats: How often they come.
        n_sequences: How many sequences.
        seed: Seed of the draws.
        exclude: Token ids that are not drawn, besides the tokenizer's special ones.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A number is out of range, or there are too few tokens to draw from.

    Examples:
        >>> [len(one) for one in repeated_random_tokens(model, n_tokens=16, n_sequences=2)]
        [33, 33]
    """
    require_bridge(model)
    require_whole_number("n_tokens", n_tokens, at_least=1, at_most=_MAX_TOKENS)
    require_whole_number("n_repeats", n_repeats, at_least=1, at_most=_MAX_TOKENS // n_tokens)
    require_whole_number("n_sequences", n_sequences, at_least=1, at_most=_MAX_TOKENS)
    require_seed("seed", seed)
    unwanted = {*require_list("exclude", exclude, int), *model.tokenizer.all_special_ids}
    known = min(int(model.cfg.d_vocab), len(model.tokenizer))
    allowed = torch.tensor([token for token in range(known) if token not in unwanted])
    if len(allowed) < n_tokens:
        raise ValueError(
            f"Expected {n_tokens} different tokens to draw; found {len(allowed)} in the "
            "vocabulary. Ask for a smaller n_tokens, or exclude fewer."
        )
    generator = torch.Generator().manual_seed(seed)
    bos = model.tokenizer.bos_token_id
    first = torch.tensor([] if bos is None else [bos], dtype=torch.long)
    draws = [torch.randperm(len(allowed), generator=generator) for _ in range(n_sequences)]
    return [torch.cat([first, *[allowed[draw[:n_tokens]]] * n_repeats]) for draw in draws]
