"""Sink heads: they look at the first token of the context."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.circuits.attention_rows import AttentionRows
from rh_lens.circuits.detectors.scan import scan
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.runtime import Bridge
from rh_lens.runtime.tokens import TokensLike


def sink_heads(model: Bridge, sequences: Sequence[TokensLike]) -> HeadScores:
    r"""Mean attention of every head on the first token: $\frac{1}{n-1} \sum_{q \ge 1} a_{q,0}$.

    The attention sink of Xiao et al. 2023 (arXiv:2309.17453). The first row, which sees nothing
    else, does not count; rows that a sliding window keeps from it have 0.

    Args:
        model: A TransformerBridge.
        sequences: Token ids or texts.

    Returns:
        Scores in [0, 1]. Reading goes as in `row_means`: nothing grows with the square of the
        length.

    Raises:
        TypeError: `model` is not a TransformerBridge, or there is no list of sequences.
        ValueError: No sequence has two tokens, or one does not fit the model.

    Examples:
        >>> sink_heads(model, sequences).mean()[3].round(decimals=2)
        tensor([0.9900, 0.8100, 0.4200, 0.7000, 0.3400, 0.1400, 0.1900, 0.0300],
               dtype=torch.float64)
    """
    return scan(model, sequences, "sink", attention_on_first)


def attention_on_first(rows: AttentionRows) -> Float[Tensor, "head row"]:
    """Attention of each row on the first token; NaN in the first row."""
    return rows.pattern[..., 0].where(rows.positions > 0, torch.nan)
