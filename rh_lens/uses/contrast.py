"""Logits of a contrast, and how strong it is: the formulas."""

from typing import Literal, TypeAlias, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_choice, require_number, require_tensor

Strength: TypeAlias = Literal["entropy", "static"]
"""How strong a contrast is at each token: the next token's entropy, or always alike."""


def contrast_strength(
    base: Float[Tensor, "*batch d_vocab"], alpha: float, by: Strength
) -> Float[Tensor, "*batch 1"]:
    r"""Strength of a contrast: $\alpha H$ by entropy, $\alpha$ where it is static.

    $H = -\sum_v p_v \ln p_v$ is the entropy in nats of the next token by the untouched model: the
    less it knows, the stronger the contrast (DeCoRe, arXiv:2410.18860, with $\alpha = 1$).

    Args:
        base: Logits of the untouched model.
        alpha: Factor, 0 or more.
        by: Which of the two.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: Alpha is negative, or there is no such strength.

    Examples:
        >>> contrast_strength(torch.zeros(4), 1.0, "entropy")  # ln 4
        tensor([1.3863])
    """
    require_tensor("base", base, ("*batch", "d_vocab"))
    require_number("alpha", alpha, at_least=0)
    require_choice("by", by, get_args(Strength))
    if by == "static":
        return torch.full_like(base[..., :1], alpha)
    logp = base.log_softmax(dim=-1)
    return alpha * -(logp.exp() * logp.nan_to_num(neginf=0.0)).sum(dim=-1, keepdim=True)


def contrast(
    base: Float[Tensor, "*batch d_vocab"],
    other: Float[Tensor, "*batch d_vocab"],
    strength: Float[Tensor, "*batch 1"],
) -> Float[Tensor, "*batch d_vocab"]:
    r"""Logits of a contrast, $(1 + \alpha_t)\,\ell - \alpha_t\,\ell'$; the base's own at 0.

    Of the logits or of the log-probabilities: both give the same probabilities. The formula is that
    of DeCoRe (arXiv:2410.18860, $\ell'$ without retrieval heads) and of context-aware decoding
    (arXiv:2305.14739, $\ell'$ without the context).

    Args:
        base: Logits.
        other: Logits of what is contrasted with.
        strength: $\alpha_t$, from `contrast_strength`.

    Raises:
        TypeError: An argument is no tensor.
        ValueError: One is empty.

    Examples:
        >>> base, other = torch.tensor([1.0, 0.9]), torch.tensor([1.0, 0.2])
        >>> contrast(base, other, torch.tensor([1.0]))
        tensor([1.0000, 1.6000])
    """
    require_tensor("base", base, ("*batch", "d_vocab"))
    require_tensor("other", other, ("*batch", "d_vocab"))
    require_tensor("strength", strength, ("*batch", "one"))
    return torch.where(strength == 0, base, (1 + strength) * base - strength * other)
