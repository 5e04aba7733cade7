"""Induction heads: they look at what followed an earlier copy of their own token."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rh_lens.circuits.attention_rows import AttentionRows
from rh_lens.circuits.detectors.duplicate_token import attention_on
from rh_lens.circuits.detectors.scan import scan
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.circuits.token_sequences import repeated_random_tokens
from rh_lens.runtime import Bridge
from rh_lens.runtime.tokens import TokensLike


def induction_heads(model: Bridge, sequences: Sequence[TokensLike]) -> HeadScores:
    r"""Mean attention of every head on the tokens that followed earlier copies of the row's token.

    $\sum_{0<j \le q,\,x_{j-1}=x_q,\,j-1<q} a_{q,j}$, averaged over the rows q that have such a key.
    `transformer_lens.head_detector` averages over all rows: on a sequence of n tokens of which m
    have a match, its score is m / n of this one.

    Args:
        model: A TransformerBridge.
        sequences: Token ids or texts that repeat themselves, such as
            `repeated_random_tokens(model)`: there it is position and match alone that count.

    Returns:
        Scores in [0, 1]. Reading goes as in `row_means`: nothing grows with the square of the
        length.

    Raises:
        TypeError: `model` is not a TransformerBridge, or there is no list of sequences.
        ValueError: No token comes twice, or a sequence does not fit the model.

    Examples:
        >>> sorted(head.label for head in induction_heads(model, sequences).top(4))
        ['L2H2', 'L2H3', 'L2H4', 'L2H5']
    """
    return scan(model, sequences, "induction", attention_after_copies)


def prefix_matching_heads(
    model: Bridge, *, n_sequences: int = 10, seed: int = 0, exclude: Sequence[int] = ()
) -> HeadScores:
    """Prefix matching on 25 random tokens repeated four times, as Olsson et al. 2022 measure it.

    The attention of `induction_heads`, on the sequences of arXiv:2209.11895: all earlier repeats
    count, and the first has none. The paper leaves out the most and the least common tokens, which
    a tokenizer alone does not tell: name them in `exclude`. A matching head is an induction head
    only if it also copies: see `copying_heads`.

    Args:
        model: A TransformerBridge.
        n_sequences: How many sequences.
        seed: Seed of the tokens.
        exclude: Token ids that are not drawn, besides the special ones.

    Returns:
        Scores in [0, 1].

    Raises:
        TypeError: An argument is of another type.
        ValueError: A number is out of range, or the vocabulary is too small.

    Examples:
        >>> sorted(head.label for head in prefix_matching_heads(model, n_sequences=2).top(4))
        ['L2H2', 'L2H3', 'L2H4', 'L2H5']
    """
    sequences = repeated_random_tokens(
        model, n_tokens=25, n_repeats=4, n_sequences=n_sequences, seed=seed, exclude=exclude
    )
    return scan(model, sequences, "prefix matching", attention_after_copies)


def followers(rows: AttentionRows) -> Bool[Tensor, "row key"]:
    """Which keys come right after an earlier copy of the row's token."""
    same = rows.keys[None, :-1] == rows.queries[:, None]
    follows = torch.nn.functional.pad(same, (1, 0))
    return follows & (rows.distance >= 0)


def attention_after_copies(rows: AttentionRows) -> Float[Tensor, "head row"]:
    """Attention of each row on what followed its token before; NaN where it is new."""
    return attention_on(rows, followers(rows))
