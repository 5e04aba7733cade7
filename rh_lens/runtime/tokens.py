"""Prompts as token ids, however they are given."""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from jaxtyping import Int
from torch import Tensor

from rh_lens.checks import shown
from rh_lens.runtime.architecture import Bridge

TokensLike: TypeAlias = Int[Tensor, " _"] | Int[Tensor, "1 _"] | Sequence[int] | str
"""A prompt: token ids `[pos]` or `[1 pos]`, a list of them, or a text."""


def as_tokens(model: Bridge, prompt: object) -> Int[Tensor, " pos"]:
    """Token ids of one prompt, checked against the model's vocabulary.

    Args:
        model: Its tokenizer encodes a text, with the special tokens that it adds by itself.
        prompt: `TokensLike`.

    Raises:
        TypeError: It is no prompt, or its numbers are no whole numbers.
        ValueError: It holds several prompts, or ids that the vocabulary lacks, such as those of
            another model's tokenizer.
    """
    if isinstance(prompt, str):
        prompt = model.tokenizer(prompt)["input_ids"]
    tokens = prompt if isinstance(prompt, Tensor) else _as_tensor(prompt)
    if tokens.is_floating_point() or tokens.is_complex() or tokens.dtype == torch.bool:
        raise TypeError(
            f"Expected token ids, whole numbers; found {str(tokens.dtype).removeprefix('torch.')} "
            "values. Encode the text with model.tokenizer."
        )
    if tokens.ndim == 2 and len(tokens) == 1:
        tokens = tokens[0]
    if tokens.ndim != 1:
        raise ValueError(
            f"Expected token ids of one prompt, [pos] or [1, pos]; found {list(tokens.shape)}. "
            "Give one prompt at a time."
        )
    _require_known(model, tokens)
    return tokens


def _as_tensor(prompt: object) -> Tensor:
    try:
        # An empty list has no type of its own.
        return torch.as_tensor(prompt, dtype=None if prompt else torch.long)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"Expected a prompt as token ids or as text; found {shown(prompt)} "
            f"({type(prompt).__name__}). Encode the text with model.tokenizer."
        ) from None


def _require_known(model: Bridge, tokens: Int[Tensor, " pos"]) -> None:
    """Refuse ids that the embedding lacks."""
    # TransformerLens's own models (boot_native) do not name their embedding.
    embedding = getattr(model.original_model, "get_input_embeddings", lambda: None)()
    n_known = model.cfg.d_vocab if embedding is None else len(embedding.weight)
    wrong = tokens[(tokens < 0) | (tokens >= n_known)]
    if len(wrong):
        raise ValueError(
            f"Expected token ids from 0 to {n_known - 1}, the model's vocabulary; found "
            f"{int(wrong[0])}. Encode the text with this model's own tokenizer, model.tokenizer."
        )
