"""From which position of a document each token of an answer was copied."""

from collections.abc import Sequence
from itertools import pairwise

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.detection import AttentionSources
from rh_lens.heads import Head

Votes = list[tuple[int | None, float]]
"""Of each token of an answer: the position it was copied from, None where there is none, and how
much speaks for it, in [0, 1]."""


def copy_votes(
    sources: AttentionSources,
    heads: Sequence[Head],
    weights: Sequence[float],
    prompt: Sequence[str],
    said: Sequence[str],
    span: tuple[int, int],
) -> Votes:
    r"""Position of a document that the heads copied each token from, and the support for it.

    Head $h$ votes at step $t$ for the position $j^*$ that it attends to most, if it is one of the
    document and holds the token that is said: a copy-paste event (Wu et al. 2024,
    arXiv:2404.15574) that counts anywhere in the document. The position with most votes is the
    source, and $\sum_{h: j^*_h = j} w_h / \sum_h w_h$ its support. Of several with as many votes,
    the one behind the last source wins, then the first.

    Args:
        sources: The rows that predicted the answer's tokens, in order.
        heads: Which heads vote.
        weights: Of the votes, one a head, above 0.
        prompt: Text of each of the prompt's tokens.
        said: Text of each of the answer's. Tokens that differ in white space or case are alike: a
            word is often another token at the start of an answer.
        span: Half-open positions of the document.
    """
    layer_at = {layer: place for place, layer in enumerate(sources.layers)}
    total = sum(weights)
    votes: Votes = []
    behind = None
    for step, token in enumerate(map(bare, said)):
        found: dict[int, float] = {}
        for head, weight in zip(heads, weights, strict=True):
            position = int(sources.source[step, layer_at[head.layer], head.head])
            if token and span[0] <= position < span[1] and bare(prompt[position]) == token:
                found[position] = found.get(position, 0.0) + weight
        if not found:
            votes.append((None, 0.0))
            continue
        best = max(sorted(found), key=lambda at: (found[at], at == behind))
        votes.append((best, found[best] / total))
        behind = best + 1
    return votes


def mean_votes(mass: Float[Tensor, "step key"], span: tuple[int, int]) -> Votes:
    """The document's position with most attention, and its share of the attention on the document.

    Args:
        mass: Attention of each row, averaged over heads.
        span: Half-open positions of the document.
    """
    inside = mass[:, slice(*span)]
    weight, position = inside.max(dim=1)
    share = weight / inside.sum(dim=1).clamp(min=torch.finfo(inside.dtype).tiny)
    return [(span[0] + at, one) for at, one in zip(position.tolist(), share.tolist(), strict=True)]


def bare(text: str) -> str:
    """A token's text without white space and case."""
    return text.strip().casefold()


def is_content(text: str) -> bool:
    """Whether a token says something: marks and spaces are copied from anywhere or nowhere."""
    return any(character.isalnum() for character in text)


def answer_pieces(tokenizer: object, said: Int[Tensor, " step"]) -> pd.DataFrame:
    """Step, id and text of each token of an answer, and its half-open characters in all of it."""
    decode = tokenizer.decode  # type: ignore[attr-defined]
    ids = said.tolist()
    lengths = [
        len(decode(ids[:end], skip_special_tokens=True, clean_up_tokenization_spaces=False))
        for end in range(len(ids) + 1)
    ]
    whole = decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return pd.DataFrame(
        {
            "step": range(len(ids)),
            "token_id": ids,
            "token": [whole[a:b] for a, b in pairwise(lengths)],
            "start": lengths[:-1],
            "stop": lengths[1:],
        }
    )
