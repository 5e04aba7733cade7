"""Attention from the end of a marked text on one of its parts."""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_list, shown
from rh_lens.circuits.attention_rows import AttentionRows, row_means
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.circuits.marked_text import MarkedText
from rh_lens.runtime import Bridge


def attention_on_part(
    model: Bridge, prompts: Sequence[MarkedText], part: str, name: str
) -> HeadScores:
    """Attention of the last row of each text on one of its parts.

    Raises:
        TypeError: `prompts` is no list of marked texts.
        ValueError: There is none, or one has no such part.
    """
    marked = require_marked(prompts, part)
    rows = [
        row_means(model, [one.tokens], {name: partial(last_row_on, one.spans[part])})[name]
        for one in marked
    ]
    units = tuple(f"text {place}" for place in range(len(rows)))
    return HeadScores(torch.cat(rows), name, units)


def require_marked(prompts: object, part: str) -> tuple[MarkedText, ...]:
    """The marked texts of a list, each of which has a part.

    Raises:
        TypeError: It is no list of them.
        ValueError: There is none, or one has no such part.
    """
    remedy = "Make them with name_prompts(tokenizer) or mark_text(tokenizer, text, ...)."
    marked = require_list("prompts", prompts, MarkedText, at_least=1, remedy=remedy)
    for one in marked:
        if part not in one.spans:
            raise ValueError(
                f"Expected texts with the part {part!r}; found {shown(list(one.spans))} in "
                f"{shown(one.text)}. {remedy}"
            )
    return marked


def last_row_on(span: tuple[int, int], rows: AttentionRows) -> Float[Tensor, "head row"]:
    """Attention of the sequence's last row on a span; NaN in the other rows."""
    found = rows.pattern[..., slice(*span)].sum(dim=-1)
    return found.where(rows.positions == len(rows.tokens) - 1, torch.nan)
