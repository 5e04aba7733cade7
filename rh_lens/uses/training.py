"""Training the weights of chosen heads, and nothing else."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook
from transformers import PreTrainedModel

from rh_lens.heads import HeadsLike
from rh_lens.runtime import Bridge
from rh_lens.uses.head_weights import Part
from rh_lens.uses.model_shape import hf_model_of
from rh_lens.uses.trainable_parts import TrainableParts, trainable_parts


@dataclass(frozen=True, eq=False)
class TrainableHeads:
    """The weights of some heads, while they can be trained.

    Args:
        parts: What moves, and what is shared.
        masks: Where each parameter moves, by its name.
    """

    parts: TrainableParts
    masks: dict[str, Bool[Tensor, "*weight"]]

    def __repr__(self) -> str:
        # A bridge has several names for the same weight.
        sizes = {value.data_ptr(): value.numel() for value in self.parts.parameters.values()}
        total = sum(sizes.values())
        return (
            f"TrainableHeads({self.n_parameters:,} of {total:,} parameters, "
            f"in {len(self.masks)} weights)"
        )

    @property
    def n_parameters(self) -> int:
        """Numbers that move."""
        return sum(int(mask.sum()) for mask in self.masks.values())

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameter groups for an optimiser: the whole weights of which something moves."""
        return [{"params": [self.parts.parameters[name] for name in self.masks]}]

    def to_dataframe(self) -> Any:
        """One row a stretch of a weight; see `TrainableParts.to_dataframe`."""
        return self.parts.to_dataframe()


@contextmanager
def trainable_heads(
    model: PreTrainedModel | Bridge,
    heads: HeadsLike,
    parts: Iterable[Part] = ("q", "k", "v", "o"),
    *,
    shared: bool = False,
) -> Iterator[TrainableHeads]:
    """Context in which training moves these heads' weights, and leaves all others bit by bit.

    Only weights of which something moves ask for a gradient, and it is 0 elsewhere, also before it
    is clipped. What an optimiser moves without a gradient (weight decay, momentum from before) is
    put back after each of its steps, for every optimiser of PyTorch; the listed heads decay as
    usual. So it works with a loop of one's own and with the `Trainer` of transformers:

        with trainable_heads(model, heads):
            Trainer(model, TrainingArguments("out", weight_decay=0.1), train_dataset=data).train()

    A head's queries are rows of the query projection, and what it writes are columns of the output
    projection. Under grouped-query attention its keys and values are those of its group: where the
    group has heads that are not listed, they stay as they are unless `shared`. Norms of queries and
    keys, sinks, the output bias, and the latents of multi-head latent attention belong to no head
    and stay. Weights sharded over several devices are not supported.

    Args:
        model: A Hugging Face model, or a bridge whose queries, keys and values have projections of
            their own. Each weight of which something moves is kept a second time.
        heads: Query heads, in any notation of `as_heads`.
        parts: What of them moves: "q", "k", "v" (weights and biases), "o".
        shared: Whether keys and values move that other heads read, too.

    Yields:
        What moves; afterwards the model asks for gradients where it did before.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The model has no such head or part, nothing is left that moves, or its weights
            are not known.

    Examples:
        >>> with trainable_heads(model, heads, parts=("q", "o")) as trainable:
        ...     optimiser = torch.optim.AdamW(trainable.parameter_groups(), lr=1e-3)
        >>> trainable
        TrainableHeads(...
    """
    hf_model = hf_model_of(model)
    found = trainable_parts(model, heads, parts, shared).require_moving()
    masks = {name: found.mask(name) for name in found.names}
    before = {parameter: parameter.requires_grad for parameter in hf_model.parameters()}
    weights = {found.parameters[name]: mask for name, mask in masks.items()}
    kept = {weight: weight.detach().clone() for weight in weights}
    handles: list[Any] = []
    try:
        for parameter in before:
            parameter.requires_grad_(parameter in weights)
        for weight, mask in weights.items():
            weight.grad = None
            handles.append(weight.register_hook(partial(keep_where, mask)))
        handles.append(register_optimizer_step_post_hook(lambda *_: _put_back(weights, kept)))
        yield TrainableHeads(found, masks)
    finally:
        for handle in handles:
            handle.remove()
        _put_back(weights, kept)
        for parameter, asks in before.items():
            parameter.requires_grad_(asks)
        for weight in weights:
            weight.grad = None


def keep_where(mask: Bool[Tensor, "*weight"], gradient: Tensor) -> Tensor:
    """A gradient where the mask is true, and 0 elsewhere."""
    return torch.where(mask.to(gradient.device), gradient, torch.zeros_like(gradient))


@torch.no_grad()
def _put_back(
    weights: dict[torch.nn.Parameter, Bool[Tensor, "*weight"]],
    kept: dict[torch.nn.Parameter, Tensor],
) -> None:
    """Give every entry that does not move the value that it had."""
    for weight, mask in weights.items():
        old = kept[weight].to(weight.device, weight.dtype)
        weight.copy_(torch.where(mask.to(weight.device), weight, old))
