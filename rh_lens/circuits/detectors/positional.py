"""Positional heads: they look at one place, counted from their own."""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_whole_number
from rh_lens.circuits.attention_rows import AttentionRows
from rh_lens.circuits.detectors.scan import scan
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.runtime import Bridge
from rh_lens.runtime.tokens import TokensLike

MAX_OFFSET = 16
"""Farthest place that is tried, in tokens."""


def positional_heads(
    model: Bridge, sequences: Sequence[TokensLike], *, max_offset: int = MAX_OFFSET
) -> HeadScores:
    r"""Share of rows that look most at the same distance: $\max_d P(\arg\max_j a_{q,j} = q - d)$.

    Voita et al. 2019 (arXiv:1905.09418), who call a head positional from 0.9 on. Distances are 0 to
    `max_offset`, the best of them for each sequence; rows that are no farther from the first token
    do not count, so that no sink passes for a place.

    Args:
        model: A TransformerBridge.
        sequences: Token ids or texts, longer than `max_offset`.
        max_offset: Farthest distance tried, in tokens.

    Returns:
        Scores in [0, 1]. Reading goes as in `row_means`: nothing grows with the square of the
        length.

    Raises:
        TypeError: An argument is of another type.
        ValueError: `max_offset` is negative, or no sequence is longer.

    Examples:
        >>> positional_heads(model, sequences, max_offset=4).mean()[0].round(decimals=2)
        tensor([1.0000, 1.0000, 1.0000, 1.0000, 1.0000, 1.0000, 0.1100, 0.1400],
               dtype=torch.float64)
    """
    require_whole_number("max_offset", max_offset, at_least=0, at_most=10_000)
    return scan(model, sequences, "positional", partial(looks_at_offset, max_offset))


def looks_at_offset(max_offset: int, rows: AttentionRows) -> Float[Tensor, "head row offset"]:
    """Whether each row looks most at each distance, as 0 and 1; NaN in rows near the start."""
    source = rows.pattern.argmax(dim=-1)
    offset = rows.positions - source
    tried = torch.arange(max_offset + 1, device=offset.device)
    looks = (offset[..., None] == tried).float()
    return looks.where((rows.positions > max_offset)[:, None], torch.nan)
