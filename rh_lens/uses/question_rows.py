"""Attention rows of what is asked after a text that is read once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from rh_lens.runtime import Bridge, attention_layers, open_context, teacher_force
from rh_lens.runtime.configuration import rope_limit
from rh_lens.uses.model_shape import hf_model_of

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


@contextmanager
def _evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Context without dropout and gradients."""
    training = [module for module in model.modules() if module.training]
    try:
        model.eval()
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def _plain_rows(
    model: PreTrainedModel, text: Int[Tensor, " key"], questions: Sequence[Int[Tensor, " _"]]
) -> list[Rows]:
    _require_plain(model, len(text) + max(map(len, questions)))
    before, device = model.config._attn_implementation, model.device
    found = []
    with _evaluating(model):
        cache = DynamicCache()
        model(text[None].to(device), past_key_values=cache, use_cache=True, logits_to_keep=1)
        try:
            model.set_attn_implementation("eager")
            for question in questions:
                output = model(
                    question[None].to(device), past_key_values=cache, output_attentions=True
                )
                on_text = [w[0, :, :, : len(text)].float().cpu() for w in output.attentions]
                found.append(torch.stack(on_text))
                cache.crop(-len(question))
        finally:
            model.set_attn_implementation(before)
    return found


def _require_plain(model: PreTrainedModel, longest: int) -> None:
    """Refuse models whose cache can't be cut back, or is not the same in pieces."""
    config = model.config.get_text_config(decoder=True)
    kinds = {type(layer).__name__ for layer in DynamicCache(config=config).layers}
    limit = rope_limit(config)
    odd = kinds - {"DynamicLayer", "DynamicSlidingWindowLayer"}
    if odd or (limit is not None and longest > limit.n_tokens):
        what = f"layers cached as {min(odd)}" if odd else "a RoPE that changes with the length"
        raise ValueError(
            f"Expected model to read a text in pieces as in one; found {what}. Pass a "
            "TransformerBridge, which is read in another way: load_model(model, ...)."
        )
