"""Attention rows of what is asked after a text that is read once."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from rh_lens.runtime import Bridge, attention_layers, open_context, teacher_force
from rh_lens.uses.model_shape import hf_model_of
from rh_lens.uses.plain_reader import PlainReader

Rows = Float[Tensor, "layer head _ key"]


def question_rows(
    model: PreTrainedModel | Bridge,
    text: Int[Tensor, " key"],
    questions: Sequence[Int[Tensor, " _"]],
) -> list[Rows]:
    """Attention of each question's tokens on the text, which is read once for all of them.

    Args:
        model: A Hugging Face model, or a TransformerBridge.
        text: Token ids that the questions follow.
        questions: Token ids, one after the other read behind the text alone.

    Returns:
        Weights on the text's positions, one tensor a question; 0 where a layer has no attention.

    Raises:
        ValueError: A Hugging Face model carries state, or depends on the length that it reads.
    """
    if hf_model_of(model) is model:
        return _plain_rows(model, text, questions)
    return _bridge_rows(model, text, questions)


def _bridge_rows(
    model: Bridge, text: Int[Tensor, " key"], questions: Sequence[Int[Tensor, " _"]]
) -> list[Rows]:
    layers, n_layers = attention_layers(model), int(model.cfg.n_layers)
    longest = len(text) + max(map(len, questions)) + 1
    context = open_context(model, text, longest=longest)
    found = []
    for question in questions:
        seen: dict[int, list[Tensor]] = {layer: [] for layer in layers}
        hooks = [(f"blocks.{layer}.attn.hook_pattern", _keep(seen[layer])) for layer in layers]
        prompt = torch.cat([text, question[:1]])
        # A row for each token of the question: what comes after its last is never read.
        fed = torch.cat([question[1:], question[:1]])
        teacher_force(model, prompt, fed, decode_hooks=hooks, context=context)
        rows = {k: torch.cat([p[:, :, : len(text)] for p in seen[k]], dim=1) for k in layers}
        empty = torch.zeros_like(rows[layers[0]])
        found.append(torch.stack([rows.get(layer, empty) for layer in range(n_layers)]))
    return found


def _keep(patterns: list[Tensor]) -> Callable[..., None]:
    def hook_fn(pattern: Tensor, hook: Any) -> None:
        patterns.append(pattern[0].float().cpu())

    return hook_fn


def _plain_rows(
    model: PreTrainedModel, text: Int[Tensor, " key"], questions: Sequence[Int[Tensor, " _"]]
) -> list[Rows]:
    reader = PlainReader(model, text, len(text) + max(map(len, questions)))
    found = []
    for question in questions:
        _, attentions = reader.read(question)
        on_text = [weights[0, :, :, : len(text)].float().cpu() for weights in attentions]
        found.append(torch.stack(on_text))
        reader.forget(len(question))
    return found
