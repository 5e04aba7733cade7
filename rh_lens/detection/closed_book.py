"""Whether a model knows a needle's answer without the haystack."""

from collections.abc import Iterable
from dataclasses import dataclass

from rh_lens.checks import require_list, require_number, require_type, require_whole_number
from rh_lens.detection.acceptance import acceptance
from rh_lens.prompts import BASE_TEMPLATE, Needle, Template
from rh_lens.prompts.insertion import encode_prefix
from rh_lens.prompts.pieces import PieceEncoder
from rh_lens.runtime import (
    DEFAULT_EXECUTION,
    Bridge,
    Execution,
    StopRule,
    greedy_decode,
    require_answering,
    require_bridge,
    stop_for_needles,
)


@dataclass(frozen=True)
class ClosedBookVerdict:
    """What a model answers to a needle's question alone.

    Args:
        needle: The needle asked for.
        known: Whether the answer came without the haystack; such a needle proves no retrieval.
        text: What the model answered.
        recall: Share of the needle's answer in it, in [0, 1].
    """

    needle: Needle
    known: bool
    text: str
    recall: float


def closed_book_check(
    model: Bridge,
    needles: Iterable[Needle],
    *,
    template: Template = BASE_TEMPLATE,
    min_recall: float = 0.5,
    max_new_tokens: int = 32,
    stop: StopRule | None = None,
    execution: Execution = DEFAULT_EXECUTION,
) -> tuple[ClosedBookVerdict, ...]:
    """Verdicts on needles by asking each question without the haystack.

    A needle whose answer the model then gives is known to it, or guessable, and is to be left out
    (Wu et al. 2024, arXiv:2404.15574). The answer is judged as in a trial.

    Args:
        model: A TransformerBridge.
        needles: Needles to check.
        template: The template of the prompts, here with an empty context.
        min_recall: The answer is known when its recall is above this.
        max_new_tokens: Longest answer in tokens.
        stop: What ends an answer. None: end of sequence, and a newline unless a needle's answer
            holds one.
        execution: How questions are read; they share nothing, and nothing is guessed.

    Raises:
        TypeError: `model` is not a TransformerBridge, or another argument has the wrong type.
        ValueError: There is no needle, a number is out of range, the model has no KV cache, or the
            question does not fit its learned positions.

    Examples:
        >>> [verdict.known for verdict in closed_book_check(model, default_needles()[:2])]
        [False, False]
    """
    require_bridge(model)
    remedy = "Take them from default_needles or load_needles."
    needles = require_list("needles", needles, Needle, at_least=1, remedy=remedy)
    require_type("template", template, Template, remedy="Make one with load_template.")
    require_number("min_recall", min_recall, at_least=-1, at_most=1)
    require_whole_number("max_new_tokens", max_new_tokens, at_least=1)
    require_answering(stop=stop, execution=execution)
    stop = stop or stop_for_needles(model, needles)
    encoder = PieceEncoder(model.tokenizer)
    verdicts = []
    for needle in needles:
        question = "".join(template.split(needle.question)).lstrip()
        answer = greedy_decode(
            model,
            encode_prefix(encoder, question),
            max_new_tokens=max_new_tokens,
            stop=stop,
            execution=execution,
        )
        verdict = acceptance(
            answer.text, answer.tokens.tolist(), needle, model.tokenizer, threshold=min_recall
        )
        verdicts.append(ClosedBookVerdict(needle, verdict.accepted, answer.text, verdict.recall))
    return tuple(verdicts)
