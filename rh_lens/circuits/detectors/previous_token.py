"""Previous-token heads: they look at the token before."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.circuits.attention_rows import AttentionRows
from rh_lens.circuits.detectors.scan import scan
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.runtime import Bridge
from rh_lens.runtime.tokens import TokensLike


def previous_token_heads(model: Bridge, sequences: Sequence[TokensLike]) -> HeadScores:
    r"""Mean attention of every head on the token before.

    $\frac{1}{n-1} \sum_{q \ge 1} a_{q,\,q-1}$ (the previous-token heads of Elhage et al. 2021 and
    Olsson et al. 2022, arXiv:2209.11895). `transformer_lens.head_detector` counts the first row
    too: its score is (n - 1) / n of this one.

    Args:
        model: A TransformerBridge.
        sequences: Token ids or texts. Random ones tell position from content.

    Returns:
        Scores in [0, 1]. Reading goes as in `row_means`: nothing grows with the square of the
        length.

    Raises:
        TypeError: `model` is not a TransformerBridge, or there is no list of sequences.
        ValueError: No sequence has two tokens, or one does not fit the model.

    Examples:
        >>> previous_token_heads(model, sequences).mean()[0].round(decimals=2)
        tensor([0.0300, 0.0400, 0.9100, 0.0900, 0.0300, 0.9300, 0.0900, 0.0800],
               dtype=torch.float64)
    """
    return scan(model, sequences, "previous token", attention_before)


def attention_before(rows: AttentionRows) -> Float[Tensor, "head row"]:
    """Attention of each row on the token before; NaN in the first row."""
    here = (rows.distance == 1).expand_as(rows.pattern)
    found = (rows.pattern * here).sum(dim=-1)
    return found.where(rows.positions > 0, torch.nan)
