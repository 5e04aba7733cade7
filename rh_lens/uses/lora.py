"""Low-rank adapters on the weights of chosen heads."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from transformers import PreTrainedModel

from rh_lens.checks import refusal, require_number, require_whole_number
from rh_lens.heads import HeadsLike
from rh_lens.uses.head_weights import Part
from rh_lens.uses.model_shape import hf_model_of
from rh_lens.uses.trainable_parts import TrainableParts, trainable_parts
from rh_lens.uses.training import keep_where


def lora_heads(
    model: PreTrainedModel,
    heads: HeadsLike,
    parts: Iterable[Part] = ("q", "k", "v", "o"),
    *,
    shared: bool = False,
    rank: int = 8,
    alpha: float = 16,
    dropout: float = 0.0,
) -> Any:
    r"""A `peft` model whose low-rank adapters change the weights of these heads only.

    An adapter adds $\frac{\alpha}{r} B A$ to a weight (LoRA, arXiv:2106.09685). A head's queries,
    keys and values are rows of a projection: the other rows of $B$ are 0 and stay 0. What it writes
    are columns of the output projection: there the other columns of $A$ are set to 0 and stay 0. So
    after `merge_and_unload()` all other weights are what they were, bit by bit, under every
    optimiser that leaves a 0 without gradient as it is, such as AdamW with weight decay.

    Args:
        model: A Hugging Face model; `peft` changes it in place.
        heads: Query heads, in any notation of `as_heads`.
        parts: See `trainable_heads`; biases stay.
        shared: See `trainable_heads`.
        rank: Rank of each adapter.
        alpha: Scale of the adapters, times the rank.
        dropout: Share of an adapter's inputs that is dropped while it is trained.

    Returns:
        A `PeftModel`, for a loop of one's own, the `Trainer` of transformers or those of trl.

    Raises:
        ImportError: `peft` is not installed.
        TypeError: An argument is of another type.
        ValueError: The model has no such head or part, nothing is left that moves, its weights are
            not known, or a number is out of range.

    Examples:
        >>> lora_heads(model.original_model, heads, rank=0)
        Traceback (most recent call last):
            ...
        ValueError: Expected rank to be a whole number of 1 or more; found 0. Choose one in ...
    """
    if hf_model_of(model) is not model:
        raise TypeError(
            refusal(
                "model",
                "a Hugging Face model",
                model,
                "Adapters would be lost on a bridge: load it with AutoModelForCausalLM.",
            )
        )
    require_whole_number("rank", rank, at_least=1)
    require_number("alpha", alpha, above=0)
    require_number("dropout", dropout, at_least=0, below=1)
    found = trainable_parts(model, heads, parts, shared).require_moving()
    names = [name for name in found.names if name.endswith(".weight")]
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ImportError(
            "Expected peft, which makes the adapters; found none. Install it: pip install peft."
        ) from error
    modules = [name.removesuffix(".weight") for name in names]
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=modules,
        task_type="CAUSAL_LM",
    )
    adapted = get_peft_model(model, config)
    for name in names:
        _confine(
            adapted.get_submodule(f"base_model.model.{name.removesuffix('.weight')}"), found, name
        )
    return adapted


@torch.no_grad()
def _confine(layer: Any, found: TrainableParts, name: str) -> None:
    """Hold an adapter at 0 outside the heads' rows or columns."""
    pieces = [part for part in found.parts if part.moves and part.piece.name == name]
    of_output = pieces[0].part == "o"
    weight = (layer.lora_A if of_output else layer.lora_B)["default"].weight
    mask = torch.zeros_like(weight, dtype=torch.bool)
    for part in pieces:
        mask.narrow(int(of_output), part.piece.start, part.piece.stop - part.piece.start).fill_(
            True
        )
    weight.masked_fill_(~mask, 0)
    weight.register_hook(partial(keep_where, mask))
