"""Heads of a plain Hugging Face model silenced or weakened, by the input of output projections."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor
from transformers import PreTrainedModel

from rh_lens.checks import refusal
from rh_lens.heads import HeadsLike, as_heads
from rh_lens.uses.head_weights import head_weights

Columns: TypeAlias = list[tuple[torch.nn.Module, list[tuple[int, int]]]]
"""Output projections, and the half-open stretches of their input that are some heads'."""


@contextmanager
def silent_heads(model: PreTrainedModel, heads: HeadsLike) -> Iterator[None]:
    """Context in which heads of a plain Hugging Face model add nothing: their outputs are 0.

    Args:
        model: A Hugging Face model for causal language modelling.
        heads: Query heads, in any notation of `as_heads`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no such head, or the model's projections are of an unknown layout.

    Examples:
        >>> from transformers import AutoModelForCausalLM
        >>> from rh_lens.demo import DEMO_MODEL_FOLDER
        >>> hf_model = AutoModelForCausalLM.from_pretrained(DEMO_MODEL_FOLDER)
        >>> with silent_heads(hf_model, ["L2H4", "L2H5"]):
        ...     logits = hf_model(prompt.tokens[None]).logits
    """
    with scaled_columns(head_columns(model, heads), 0.0):
        yield


def head_columns(model: PreTrainedModel, heads: HeadsLike) -> Columns:
    """Where the heads' outputs stand in the input of each layer's output projection.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no such head, or the model's projections are of an unknown layout.
    """
    require_hf_model(model)
    weights = head_weights(model.config, dict(model.named_parameters(remove_duplicate=False)))
    chosen = as_heads(heads)
    weights.require(chosen)
    columns: dict[str, list[tuple[int, int]]] = {}
    for head in chosen:
        place = weights.slices(head, "o")[0]
        columns.setdefault(place.name.rpartition(".")[0], []).append((place.start, place.stop))
    return [(model.get_submodule(name), spans) for name, spans in columns.items()]


@contextmanager
def scaled_columns(columns: Columns, factor: float) -> Iterator[None]:
    """Context in which heads' outputs are multiplied by a factor."""
    handles = [
        module.register_forward_pre_hook(partial(_scale, spans, factor))
        for module, spans in columns
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def require_hf_model(model: object) -> None:
    """Refuse what is no Hugging Face model that generates.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(model, PreTrainedModel) or not hasattr(model, "generate"):
        wanted = "a Hugging Face model for causal language modelling"
        remedy = "Load one with AutoModelForCausalLM.from_pretrained(...)."
        raise TypeError(refusal("model", wanted, model, remedy))


def _scale(
    spans: list[tuple[int, int]], factor: float, module: object, inputs: tuple[Tensor, ...]
) -> Any:
    """The input of an output projection with some heads' part scaled."""
    z = inputs[0].clone()
    for start, stop in spans:
        z[..., start:stop] = factor * z[..., start:stop] if factor else 0
    return (z, *inputs[1:])
