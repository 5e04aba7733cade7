"""Subject and relation heads: from the end of a question they look at its subject, its relation."""

from collections.abc import Sequence

from rh_lens.circuits.detectors.marked import attention_on_part
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.circuits.marked_text import MarkedText
from rh_lens.runtime import Bridge


def subject_heads(model: Bridge, prompts: Sequence[MarkedText]) -> HeadScores:
    """Attention of the last row on the subject of a question about a fact.

    The subject heads of Chughtai, Cooney and Nanda 2024 (arXiv:2402.07321), which draw the
    subject's attributes; the attention alone, without what is written.

    Args:
        model: A TransformerBridge.
        prompts: Texts with the part `subject`, such as `fact_prompts(model.tokenizer)`. What they
            ask should be something that the model knows.

    Returns:
        Scores in [0, 1].

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no text, or one has no `subject`.

    Examples:
        >>> subject_heads(model, fact_prompts(tokenizer)).mean().shape
        torch.Size([4, 8])
    """
    return attention_on_part(model, prompts, "subject", "subject")


def relation_heads(model: Bridge, prompts: Sequence[MarkedText]) -> HeadScores:
    """Attention of the last row on the relation of a question about a fact.

    The relation heads of Chughtai, Cooney and Nanda 2024 (arXiv:2402.07321), which raise all
    answers of the kind asked for; the attention alone, without what is written.

    Args:
        model: A TransformerBridge.
        prompts: Texts with the part `relation`, such as `fact_prompts(model.tokenizer)`.

    Returns:
        Scores in [0, 1].

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no text, or one has no `relation`.

    Examples:
        >>> relation_heads(model, fact_prompts(tokenizer)).mean().shape
        torch.Size([4, 8])
    """
    return attention_on_part(model, prompts, "relation", "relation")
