"""Which stretches of which parameters are some heads' own, and which they share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from jaxtyping import Bool
from torch import Tensor
from transformers import PreTrainedModel

from rh_lens.checks import require_choice, require_flag, require_list
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.runtime import Bridge
from rh_lens.uses.head_weights import PARTS, HeadSlice, HeadWeights, Part, head_weights
from rh_lens.uses.model_shape import hf_model_of
from rh_lens.uses.plain_model import own_weights


@dataclass(frozen=True)
class TrainablePart:
    """A stretch of a parameter that belongs to one head or more.

    Args:
        piece: Where it lies.
        part: "q", "k", "v" or "o".
        heads: Heads that it was asked for.
        others: Other heads that compute with it, too: those of the same key-value group.
        moves: Whether training changes it.
    """

    piece: HeadSlice
    part: Part
    heads: tuple[Head, ...]
    others: tuple[Head, ...]
    moves: bool


@dataclass(frozen=True, eq=False)
class TrainableParts:
    """What training may change of a model.

    Args:
        parts: Stretches of parameters.
        parameters: The parameters that they are of, by their names.
    """

    parts: tuple[TrainablePart, ...]
    parameters: Mapping[str, torch.nn.Parameter]

    @property
    def names(self) -> list[str]:
        """Parameters of which something moves, in the model's order."""
        moving = {part.piece.name for part in self.parts if part.moves}
        return [name for name in self.parameters if name in moving]

    @property
    def n_parameters(self) -> int:
        """Numbers that move."""
        return sum(int(self.mask(name).sum()) for name in self.names)

    def mask(self, name: str) -> Bool[Tensor, "*weight"]:
        """Where a parameter moves."""
        mask = torch.zeros_like(self.parameters[name], dtype=torch.bool)
        for part in self.parts:
            if part.moves and part.piece.name == name:
                part.piece.of(mask).fill_(True)
        return mask

    def require_moving(self) -> "TrainableParts":
        """These parts, of which something moves.

        Raises:
            ValueError: Nothing does.
        """
        if not self.names:
            raise ValueError(
                "Expected heads to have a part that moves; found only keys and values that other "
                "heads read, too. Add the others, a part such as 'q', or pass shared=True."
            )
        return self

    def to_dataframe(self) -> pd.DataFrame:
        """One row a stretch.

        Returns:
            Columns `parameter`, `part`, `heads`, `also_read_by` (labels, separated by spaces),
            `moves`, `n_parameters`.
        """
        rows: list[dict[str, Any]] = [
            {
                "parameter": part.piece.name,
                "part": part.part,
                "heads": " ".join(head.label for head in part.heads),
                "also_read_by": " ".join(head.label for head in part.others),
                "moves": part.moves,
                "n_parameters": part.piece.of(self.parameters[part.piece.name]).numel(),
            }
            for part in self.parts
        ]
        return pd.DataFrame(rows)


def trainable_parts(
    model: PreTrainedModel | Bridge, heads: HeadsLike, parts: Iterable[Part], shared: bool
) -> TrainableParts:
    """The stretches that belong to heads; keys and values that others read move if `shared`.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The model has no such head or part, or its weights are not known, or are not
            those that the bridge computes with.
    """
    heads = tuple(sorted(set(as_heads(heads))))
    parts = require_list("parts", parts, str, at_least=1)
    for part in parts:
        require_choice("a part", part, PARTS)
    require_flag("shared", shared)
    hf_model = hf_model_of(model)
    weights = own_weights(model)
    placed = head_weights(hf_model.config, weights)
    if not heads:
        raise ValueError("Expected heads to be one or more; found none. Pass scores.top(k).")
    placed.require(heads)
    if model is not hf_model and placed.layout.fused:
        raise ValueError(
            "Expected model to be a Hugging Face model where queries, keys and values have one "
            f"projection; found a bridge of {hf_model.config.model_type}, which computes with "
            "copies. Train the Hugging Face model, and boot a bridge from it afterwards."
        )
    found: dict[tuple[HeadSlice, Part], list[Head]] = {}
    for part in PARTS:
        for head in heads if part in parts else ():
            for piece in placed.slices(head, part):
                found.setdefault((piece, part), []).append(head)
    stretches = []
    for (piece, part), own in found.items():
        others = _others(placed, own, part)
        moves = shared or not others
        stretches.append(TrainablePart(piece, part, tuple(own), others, moves))
    named = {
        name: value for name, value in weights.items() if isinstance(value, torch.nn.Parameter)
    }
    return TrainableParts(tuple(stretches), named)


def _others(placed: HeadWeights, own: list[Head], part: Part) -> tuple[Head, ...]:
    """Heads of the same layer, not among `own`, that read the same keys or values."""
    if part not in ("k", "v"):
        return ()
    group, layer = placed.group(own[0]), own[0].layer
    readers = [Head(layer, index) for index in range(placed.n_heads)]
    return tuple(h for h in readers if placed.group(h) == group and h not in own)
