"""Answers of a plain Hugging Face model with weakened or louder heads, and by contrast."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedModel

from rh_lens.runtime.generation import GenerationUnderWay
from rh_lens.uses.contrast import Strength
from rh_lens.uses.contrast_decoding import Contrasted, answered_by_contrast
from rh_lens.uses.plain_heads import Columns, scaled_columns
from rh_lens.uses.plain_reader import PlainReader


@dataclass(frozen=True, eq=False)
class PlainSide:
    """One side of a contrast: a prompt, and heads' outputs while the answer is said.

    Args:
        tokens: The prompt.
        columns: Where the heads' outputs are.
        factor: What multiplies them from the prompt's last token on; 1 leaves them alone.
    """

    tokens: Int[Tensor, " pos"]
    columns: Columns
    factor: float

    def saying(self) -> AbstractContextManager[None]:
        """Context of the passes that say the answer."""
        return nullcontext() if self.factor == 1 else scaled_columns(self.columns, self.factor)


def plain_contrast(
    model: PreTrainedModel,
    sides: Sequence[PlainSide],
    answer: GenerationUnderWay,
    *,
    alpha: float = 0.0,
    by: Strength = "static",
) -> Contrasted:
    """Greedy answer by the contrast of two sides, as `contrast_decode` gives it on a bridge.

    Args:
        model: A Hugging Face model.
        sides: What is said, and what it is contrasted with; one is enough where alpha is 0.
        answer: The answer, not begun.
        alpha: Factor of the strength.
        by: What the strength depends on.
    """
    read_by = [
        PlainReader(model, side.tokens[:-1], len(side.tokens) + answer.max_new_tokens)
        for side in (sides if alpha else sides[:1])
    ]
    begun = False

    def read(token: int) -> tuple[Tensor, Tensor]:
        nonlocal begun
        found = []
        for side, reader in zip(sides, read_by, strict=False):
            # The first token to pass is each prompt's own last one.
            own = torch.tensor([token]) if begun else side.tokens[-1:]
            with side.saying():
                found.append(reader.read(own)[0][0])
        begun = True
        return found[0], found[-1]

    return answered_by_contrast(answer, read, alpha, by)
