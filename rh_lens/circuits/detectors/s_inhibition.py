"""Heads that look, like S-inhibition heads, from the end at the second mention of a name."""

from collections.abc import Sequence

from rh_lens.circuits.detectors.marked import attention_on_part
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.circuits.marked_text import MarkedText
from rh_lens.runtime import Bridge


def s_inhibition_heads(model: Bridge, prompts: Sequence[MarkedText]) -> HeadScores:
    """Attention of the last row on the second mention of the name that comes twice.

    Where the S-inhibition heads of Wang et al. 2022 (arXiv:2211.00593) look. That they then turn
    name movers away from that name is a matter of path patching, and not measured here.

    Args:
        model: A TransformerBridge.
        prompts: Texts with the part `s2`, such as `name_prompts(model.tokenizer)`.

    Returns:
        Scores in [0, 1].

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no text, or one has no `s2`.

    Examples:
        >>> s_inhibition_heads(model, name_prompts(tokenizer, n_prompts=4)).mean().shape
        torch.Size([4, 8])
    """
    return attention_on_part(model, prompts, "s2", "S-inhibition-like")
