"""Local heads look at the last few tokens, global ones at none of them and not at the sink."""

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

WINDOW = 16
"""Tokens that are near, the row's own among them."""


def local_heads(
    model: Bridge, sequences: Sequence[TokensLike], *, window: int = WINDOW
) -> HeadScores:
    r"""Mean attention of every head on the last few tokens: $\sum_{q-w<j \le q} a_{q,j}$.

    Rows that see nothing else (q <= w) do not count, nor does the first token, the sink. The
    streaming heads of DuoAttention (arXiv:2410.10819) are those that are local or sinks.

    Args:
        model: A TransformerBridge.
        sequences: Token ids or texts, longer than the window.
        window: Tokens w that are near, the row's own among them.

    Returns:
        Scores in [0, 1]. Reading goes as in `row_means`: nothing grows with the square of the
        length.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The window is below 1, or no sequence is longer.

    Examples:
        >>> local_heads(model, sequences, window=4).mean()[0].round(decimals=2)
        tensor([0.9800, 0.9600, 0.9800, 0.9900, 0.9600, 0.9900, 0.2700, 0.2300],
               dtype=torch.float64)
    """
    require_whole_number("window", window, at_least=1)
    return scan(model, sequences, "local", partial(attention_nearby, window))


def global_heads(
    model: Bridge, sequences: Sequence[TokensLike], *, window: int = WINDOW
) -> HeadScores:
    r"""Mean attention of every head beyond the last few tokens: $\sum_{0<j \le q-w} a_{q,j}$.

    What is neither local nor on the sink: local, global and sink attention of a row add to 1.

    Args:
        model: A TransformerBridge.
        sequences: Token ids or texts, longer than the window.
        window: Tokens w that are near, the row's own among them.

    Returns:
        Scores in [0, 1]. Reading goes as in `row_means`.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The window is below 1, or no sequence is longer.

    Examples:
        >>> global_heads(model, sequences, window=4).mean()[2].round(decimals=2)
        tensor([0.6600, 0.7100, 0.6500, 0.6300, 0.6400, 0.6300, 0.6200, 0.6900],
               dtype=torch.float64)
    """
    require_whole_number("window", window, at_least=1)
    return scan(model, sequences, "global", partial(attention_far, window))


def attention_nearby(window: int, rows: AttentionRows) -> Float[Tensor, "head row"]:
    """Attention of each row on the last tokens; NaN in rows that see nothing else."""
    near = (rows.distance >= 0) & (rows.distance < window)
    return (rows.pattern * near).sum(dim=-1).where(rows.positions > window, torch.nan)


def attention_far(window: int, rows: AttentionRows) -> Float[Tensor, "head row"]:
    """Attention of each row beyond the last tokens, but for the first; NaN where there is none."""
    far = rows.distance >= window
    far[:, 0] = False
    return (rows.pattern * far).sum(dim=-1).where(rows.positions > window, torch.nan)
