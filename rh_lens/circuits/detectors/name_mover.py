"""Name movers look at the name that is due and raise it; negative ones look and push it down."""

from collections.abc import Sequence

import torch

from rh_lens.checks import require_whole_number
from rh_lens.circuits.detectors.marked import attention_on_part, require_marked
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.circuits.head_writes import by_layer, own_token_extremes
from rh_lens.circuits.marked_text import MarkedText
from rh_lens.runtime import Bridge, require_bridge

K = 5
"""Size of the ends of the vocabulary in which the name's logit counts."""


def name_mover_heads(model: Bridge, prompts: Sequence[MarkedText], *, k: int = K) -> HeadScores:
    """Attention of the last row on the name that is due, where the head would copy it.

    Attention on `io`, times 1 if what the head writes of the name's first token has it among the k
    highest logits, and 0 otherwise (the copying score of Wang et al. 2022, arXiv:2211.00593, joined
    with where the head looks).

    Args:
        model: A TransformerBridge, not with latent attention.
        prompts: Texts with the part `io`, such as `name_prompts(model.tokenizer)`.
        k: Size of the end of the vocabulary.

    Returns:
        Scores in [0, 1].

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no text, one has no `io`, or k is out of range.

    Examples:
        >>> name_mover_heads(model, name_prompts(tokenizer, n_prompts=4)).mean().shape
        torch.Size([4, 8])
    """
    return _moved(model, prompts, k, "name mover", highest=True)


def negative_name_mover_heads(
    model: Bridge, prompts: Sequence[MarkedText], *, k: int = K
) -> HeadScores:
    """Attention of the last row on the name that is due, where the head would push it down.

    As `name_mover_heads`, with the k lowest logits: the negative name movers of Wang et al. 2022
    (arXiv:2211.00593), which McDougall et al. 2023 (arXiv:2310.04625) explain by copy suppression.

    Args:
        model: A TransformerBridge, not with latent attention.
        prompts: Texts with the part `io`, such as `name_prompts(model.tokenizer)`.
        k: Size of the end of the vocabulary.

    Returns:
        Scores in [0, 1].

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no text, one has no `io`, or k is out of range.

    Examples:
        >>> negative_name_mover_heads(model, name_prompts(tokenizer, n_prompts=4)).mean().shape
        torch.Size([4, 8])
    """
    return _moved(model, prompts, k, "negative name mover", highest=False)


def _moved(
    model: Bridge, prompts: Sequence[MarkedText], k: int, name: str, *, highest: bool
) -> HeadScores:
    require_bridge(model)
    require_whole_number("k", k, at_least=1, at_most=int(model.cfg.d_vocab))
    marked = require_marked(prompts, "io")
    looks = attention_on_part(model, marked, "io", name)
    moved = []
    for one in marked:
        high, low = own_token_extremes(model, one.tokens, [one.spans["io"][0]], k)
        hits = high if highest else low
        moved.append(by_layer(model, {layer: row[0].double() for layer, row in hits.items()}))
    return HeadScores(looks.values * torch.stack(moved), name, looks.units)
