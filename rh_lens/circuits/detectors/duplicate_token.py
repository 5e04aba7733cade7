"""Duplicate-token heads: they look at earlier copies of their own token."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rh_lens.circuits.attention_rows import AttentionRows
from rh_lens.circuits.detectors.scan import scan
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.runtime import Bridge
from rh_lens.runtime.tokens import TokensLike


def duplicate_token_heads(model: Bridge, sequences: Sequence[TokensLike]) -> HeadScores:
    r"""Mean attention of every head on earlier copies of the row's own token.

    $\sum_{j<q,\,x_j=x_q} a_{q,j}$, averaged over the rows q that have such a copy (Wang et al.
    2022, arXiv:2211.00593). `transformer_lens.head_detector` averages over all rows.

    Args:
        model: A TransformerBridge.
        sequences: Token ids or texts with repeated tokens, such as `repeated_random_tokens(model)`.

    Returns:
        Scores in [0, 1]. Reading goes as in `row_means`: nothing grows with the square of the
        length.

    Raises:
        TypeError: `model` is not a TransformerBridge, or there is no list of sequences.
        ValueError: No token comes twice, or a sequence does not fit the model.

    Examples:
        >>> duplicate_token_heads(model, sequences).mean()[1].round(decimals=2)
        tensor([0.0400, 0.0400, 0.0400, 0.0400, 0.0400, 0.0400, 0.0500, 0.0400],
               dtype=torch.float64)
    """
    return scan(model, sequences, "duplicate token", attention_on_duplicates)


def duplicates(rows: AttentionRows) -> Bool[Tensor, "row key"]:
    """Which keys are earlier copies of the row's token."""
    return (rows.keys[None] == rows.queries[:, None]) & (rows.distance > 0)


def attention_on_duplicates(rows: AttentionRows) -> Float[Tensor, "head row"]:
    """Attention of each row on earlier copies of its token; NaN where there is none."""
    return attention_on(rows, duplicates(rows))


def attention_on(rows: AttentionRows, keys: Bool[Tensor, "row key"]) -> Float[Tensor, "head row"]:
    """Attention of each row on some keys; NaN in rows that have none of them."""
    return (rows.pattern * keys).sum(dim=-1).where(keys.any(dim=-1), torch.nan)
