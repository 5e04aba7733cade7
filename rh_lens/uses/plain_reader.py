"""A plain Hugging Face model that reads a text once, and shows the attention of what follows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from rh_lens.runtime.configuration import rope_limit

Attentions: TypeAlias = tuple[Float[Tensor, "batch head query key"], ...]
"""Weights of each layer in one pass, over the whole context."""


class PlainReader:
    """A model and what it has read so far; nothing is changed in the model between passes.

    Args:
        model: A Hugging Face model.
        text: Token ids, read with the attention that the model has.
        longest: Tokens that it will have read in the end.

    Raises:
        ValueError: The model carries state or depends on the length that it reads, or the text does
            not fit.
    """

    def __init__(self, model: PreTrainedModel, text: Int[Tensor, " pos"], longest: int) -> None:
        _require_plain(model, longest)
        # Without a configuration it keeps every key of every layer, and can be cut back.
        self.model, self._cache = model, DynamicCache()
        if len(text):
            with _evaluating(model):
                self._pass(text, logits_to_keep=1)

    def read(self, tokens: Int[Tensor, " pos"]) -> tuple[Float[Tensor, "pos d_vocab"], Attentions]:
        """Logits and attention of tokens that follow what was read.

        Args:
            tokens: Token ids, one or more.

        Raises:
            ValueError: The model gives no attention away.
        """
        before = self.model.config._attn_implementation
        with _evaluating(self.model):
            try:
                self.model.set_attn_implementation("eager")
                output = self._pass(tokens, output_attentions=True)
            finally:
                self.model.set_attn_implementation(before)
        attentions = output.attentions
        if not attentions or any(weights is None for weights in attentions):
            raise ValueError(
                f"Expected attention weights of every layer of {type(self.model).__name__}; found "
                "none. Pass a TransformerBridge of the model: load_model(name)."
            )
        return output.logits[0], attentions

    def forget(self, n_tokens: int) -> None:
        """Cut the last tokens off again."""
        self._cache.crop(-n_tokens)

    def _pass(self, tokens: Int[Tensor, " pos"], **options: Any) -> Any:
        ids = tokens[None].to(self.model.device)
        return self.model(ids, past_key_values=self._cache, use_cache=True, **options)


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


def _require_plain(model: PreTrainedModel, longest: int) -> None:
    """Refuse models whose cache can't be cut back, or is not the same in pieces, and long texts."""
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
    window = getattr(config, "max_position_embeddings", None)
    if window is not None and longest > window:
        raise ValueError(
            f"Expected text, question and answer to fit the model's context window of {window} "
            f"tokens; found {longest}. Shorten the text."
        )
