"""Answers about a document, with the places of it that they were copied from."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rh_lens.checks import require_list, require_number, require_whole_number
from rh_lens.heads import HeadsLike, as_heads
from rh_lens.interventions.editing import require_heads
from rh_lens.prompts import BASE_TEMPLATE, Template
from rh_lens.runtime import DEFAULT_EXECUTION, Bridge, Execution, StopRule, require_answering
from rh_lens.uses.asked_document import ask_document
from rh_lens.uses.cited_answer import CitedAnswer, cited_answer
from rh_lens.uses.copied_tokens import answer_pieces, copy_votes
from rh_lens.uses.listened_answers import (
    answer_with_sources,
    heads_of_layers,
    is_plain,
    tokenizer_of,
    usual_stop,
)


def cite(
    model: PreTrainedModel | Bridge,
    document: str,
    question: str,
    *,
    heads: HeadsLike,
    weights: Sequence[float] | None = None,
    least_support: float = 0.25,
    tokenizer: PreTrainedTokenizerBase | None = None,
    template: Template = BASE_TEMPLATE,
    max_new_tokens: int = 32,
    stop: StopRule | None = None,
    execution: Execution = DEFAULT_EXECUTION,
) -> CitedAnswer:
    """The model's answer to a question about a document, and where in it the answer was copied.

    Each token of the greedy answer has as its source the position of the document that most of the
    heads looked at when it was said, provided that it holds the same token; see `CitedAnswer` for
    what is made of it. An answer of which fewer than half of the tokens have a source is flagged as
    unsupported. What a model says in words of its own is not copied, and is flagged too.

    Args:
        model: A TransformerBridge, or a Hugging Face model for causal language modelling.
        document: The text.
        question: Asked after it.
        heads: Retrieval heads, in any notation of `as_heads`; one or more.
        weights: Of their votes, such as their retrieval scores. None: all alike.
        least_support: Weighted share of the heads, in [0, 1], from which on a token counts as
            copied.
        tokenizer: A fast tokenizer; None takes a bridge's own.
        template: The text around document and question.
        max_new_tokens: Longest answer.
        stop: What ends it earlier. None: end of sequence and newline.
        execution: How a bridge reads the prompt; a Hugging Face model reads it in one pass.

    Raises:
        ModelInUseError: Another thread is using the model.
        TypeError: An argument has the wrong type, or a Hugging Face model comes without tokenizer.
        ValueError: There is no such head, document or question is blank, they do not fit the
            context window, a number is out of range, or a Hugging Face model can't be read in
            pieces or is given an execution.

    Examples:
        >>> document = "It rained. The Orrin sisters call the cat Baron Turnip. Nobody came."
        >>> question = "What do the Orrin sisters call the cat?"
        >>> answer = cite(model, document, question, heads=["L2H2", "L2H3", "L2H4", "L2H5"])
        >>> answer
        CitedAnswer('Baron Turnip.', 1 source, support 0.88)
        >>> answer.spans
        (SourceSpan(start=42, stop=54, text='Baron Turnip', support=0.875),)
    """
    tokenizer = tokenizer_of(model, tokenizer)
    chosen = as_heads(heads)
    counted = _weights(model, chosen, weights)
    require_number("least_support", least_support, at_least=0, at_most=1)
    require_whole_number("max_new_tokens", max_new_tokens, at_least=1)
    require_answering(stop=stop, execution=execution)
    if is_plain(model) and execution != DEFAULT_EXECUTION:
        raise ValueError(
            f"Expected an execution with a TransformerBridge only; found {execution} with "
            f"{type(model).__name__}. Leave it out."
        )
    stop = stop or usual_stop(model, tokenizer)
    asked = ask_document(tokenizer, document, question, template=template)
    said, sources = answer_with_sources(model, asked.prompt, max_new_tokens, stop, execution)
    pieces = answer_pieces(tokenizer, said.tokens)
    votes = copy_votes(
        sources,
        chosen,
        counted,
        [tokenizer.decode([one]) for one in asked.prompt.tokens.tolist()],
        [tokenizer.decode([one]) for one in said.tokens.tolist()],
        asked.span,
    )
    return cited_answer(asked, said.text, pieces, votes, chosen, least_support)


def _weights(
    model: PreTrainedModel | Bridge, heads: Sequence[Any], weights: Sequence[float] | None
) -> list[float]:
    """The weight of each head's vote."""
    require_heads(heads, heads_of_layers(model))
    remedy = "Pass retrieval heads, such as result.heads()."
    require_list("heads", heads, object, at_least=1, remedy=remedy)
    if weights is None:
        return [1.0] * len(heads)
    given = require_list("weights", weights, Real, at_least=1)
    if len(given) != len(heads):
        raise ValueError(
            f"Expected weights for {len(heads)} heads; found {len(given)}. Pass one a "
            "head, or None."
        )
    for one in given:
        require_number("weights", one, above=0)
    return [float(one) for one in given]
