"""Rare-word heads: they look at the rarest tokens in sight."""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rh_lens.checks import require_number
from rh_lens.circuits.attention_rows import AttentionRows, as_sequences
from rh_lens.circuits.detectors.scan import scan
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.runtime import Bridge, require_bridge
from rh_lens.runtime.tokens import TokensLike, as_tokens

SHARE = 0.1
"""Share of the positions that hold rare tokens, at most."""


def rare_word_heads(
    model: Bridge,
    sequences: Sequence[TokensLike],
    *,
    reference: Sequence[TokensLike] | None = None,
    share: float = SHARE,
) -> HeadScores:
    """Share of rows that look most at one of the rarest tokens.

    Voita et al. 2019 (arXiv:1905.09418): there, the two least frequent tokens of a sentence. Here,
    the rarest of the vocabulary that together hold at most `share` of the reference text's
    positions; rows that see no such token do not count. A head that looks anywhere alike scores
    about `share`.

    Args:
        model: A TransformerBridge.
        sequences: Token ids or texts: natural ones.
        reference: Texts in which tokens are counted. None: the sequences themselves.
        share: Share of the reference's positions that rare tokens may hold, between 0 and 1.

    Returns:
        Scores in [0, 1]. Reading goes as in `row_means`: nothing grows with the square of the
        length.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The share is not between 0 and 1, or no sequence has a rare token.

    Examples:
        >>> reference = [haystack.text[:40000]]
        >>> rare_word_heads(model, [haystack.text[:2000]], reference=reference).mean().shape
        torch.Size([4, 8])
    """
    require_bridge(model)
    require_number("share", share, above=0, below=1)
    texts = as_sequences(sequences)
    if reference is not None:
        texts = as_sequences(reference, "reference")
    counted = torch.cat([as_tokens(model, text).cpu() for text in texts])
    rare = rare_tokens(counted, int(model.cfg.d_vocab), share)
    if not any(bool(rare[as_tokens(model, one).cpu()].any()) for one in as_sequences(sequences)):
        raise ValueError(
            f"Expected tokens that together hold at most {share:g} of the reference; found none in "
            "the sequences: they repeat themselves, or are short. Pass a longer natural text as "
            "reference, or allow a larger share."
        )
    return scan(model, sequences, "rare word", partial(looks_at_rare, rare))


def rare_tokens(
    text: Int[Tensor, " pos"], n_vocabulary: int, share: float
) -> Bool[Tensor, " token"]:
    """Which tokens are rare: those of the lowest counts that together hold at most a share.

    Tokens of one count are all rare or all not. Those that never come are rare.
    """
    counts = torch.bincount(text, minlength=n_vocabulary)
    held = {count: int(counts[counts == count].sum()) for count in counts.unique().tolist()}
    total, most = 0, -1
    for count in sorted(held):
        total += held[count]
        if total > share * len(text):
            break
        most = count
    return counts <= most


def looks_at_rare(rare: Bool[Tensor, " token"], rows: AttentionRows) -> Float[Tensor, "head row"]:
    """Whether each row looks most at a rare token, as 0 and 1; NaN in rows that see none."""
    keys = rare.to(rows.keys.device)[rows.keys]
    seen = (keys[None] & (rows.distance >= 0)).any(dim=-1)
    return keys[rows.pattern.argmax(dim=-1)].float().where(seen, torch.nan)
