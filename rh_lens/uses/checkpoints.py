"""Checkpoints whose heads are silent wherever they run."""

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from rh_lens.files import new_folder
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.prompts.pieces import require_tokenizer
from rh_lens.runtime import Bridge, without_progress_bars
from rh_lens.uses.head_weights import head_weights
from rh_lens.uses.plain_model import plain_model


def save_ablated(
    model: PreTrainedModel | Bridge,
    heads: HeadsLike,
    folder: str | Path,
    *,
    tokenizer: Any = None,
) -> Path:
    r"""Write a Hugging Face checkpoint in which the listed heads say nothing.

    A layer adds $W_O [z_1; \dots; z_H] + b$ to the residual stream. Where the columns of $W_O$ that
    read $z_h$ are 0, head $h$ adds nothing, as with `zero_ablation` in the prefill and in decoding,
    and no program that runs the checkpoint (vLLM, llama.cpp after conversion, an evaluation
    harness) needs to know. Queries, keys and values stay: other heads may share them. The
    configuration names the heads under `silenced_heads`.

    Args:
        model: A Hugging Face model for causal language modelling, or a TransformerBridge. It stays
            as it is.
        heads: Query heads, in any notation of `as_heads`; none writes the model as it is.
        folder: A new folder; it is there when all of it has been written, and not before.
        tokenizer: Saved beside the model; None: a bridge's own, and none for other models.

    Returns:
        The folder.

    Raises:
        FileExistsError: There is something at `folder`.
        OSError: The folder can't be written.
        TypeError: An argument is of another type.
        ValueError: The model has no such head, is of an architecture whose weights are not known,
            or does not have the weights of its class (quantised, adapters, processed).

    Examples:
        >>> folder = save_ablated(model, ["L2H2", "L2H3"], "without-retrieval-heads")
        >>> from transformers import AutoModelForCausalLM
        >>> AutoModelForCausalLM.from_pretrained(folder).config.model_type
        'llama'
    """
    heads = as_heads(heads)
    tokenizer = getattr(model, "tokenizer", None) if tokenizer is None else tokenizer
    if tokenizer is not None:
        require_tokenizer(tokenizer)
    plain = plain_model(model)
    _silence(plain, heads)
    with new_folder("folder", folder) as temporary, without_progress_bars():
        plain.save_pretrained(temporary)
        if tokenizer is not None:
            tokenizer.save_pretrained(temporary)
    return Path(folder)


@torch.no_grad()
def _silence(plain: PreTrainedModel, heads: tuple[Head, ...]) -> None:
    """Set the columns of heads to 0, in projections of the plain model's own."""
    weights = dict(plain.named_parameters(remove_duplicate=False))
    placed = head_weights(plain.config, weights)
    placed.require(heads)
    pieces = [piece for head in heads for piece in placed.slices(head, "o")]
    for name in {piece.name for piece in pieces}:
        weights[name].data = weights[name].data.clone()
    for piece in pieces:
        piece.of(weights[piece.name]).zero_()
    if heads:
        plain.config.silenced_heads = [head.label for head in sorted(set(heads))]
