"""Whether an answer retrieved the needle."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from numbers import Integral
from typing import Any, Literal, TypeAlias, get_args

from rh_lens.checks import (
    require_choice,
    require_list,
    require_number,
    require_text,
    require_type,
    shown,
)
from rh_lens.prompts import Needle
from rh_lens.prompts.pieces import require_tokenizer
from rh_lens.runtime import StopReason

RecallMeasure: TypeAlias = Literal["rouge1", "token-ids"]
"""What a recall is of: stemmed words (ROUGE-1), or token ids where ROUGE finds no word."""

_REMEDY = "Pass token ids: [5, 17, ...]."
_CUT = {
    "newline": ", stopped at a line break",
    "string": ", stopped at a stop string",
    "length": ", stopped after {n} tokens, the most allowed",
}


@dataclass(frozen=True)
class Acceptance:
    """Verdict on one generated answer.

    Args:
        accepted: Whether the recall is above the threshold.
        reason: "accepted", or why not, for a human reader.
        recall: Share of the needle's answer that was generated, in [0, 1].
        recall_measure: "rouge1" (stemmed words), or "token-ids" where ROUGE finds no word.
        answer: The right answer that these are about: of several, the one with the highest recall.
    """

    accepted: bool
    reason: str
    recall: float
    recall_measure: RecallMeasure
    answer: str


def acceptance(
    text: str,
    tokens: Sequence[int],
    needle: Needle,
    tokenizer: Any,
    *,
    threshold: float = 0.5,
    answer_tokens: Sequence[int] | None = None,
    stop_reason: StopReason | None = None,
) -> Acceptance:
    """Whether a generated answer retrieved the needle's answer, or one of its alternatives.

    Accepted when ROUGE-1 recall (stemmed) of the text against the answer is above the threshold
    (Wu et al. 2024, arXiv:2404.15574, and its code). ROUGE knows Latin letters and digits only:
    where it finds no word in the answer (Korean, Chinese ...), recall is counted over token ids.
    Of several right answers, the one with the highest recall counts.

    Args:
        text: Generated text.
        tokens: Generated token ids.
        needle: The needle asked for.
        tokenizer: Encodes answers for token-id recall where `answer_tokens` does not tell; may be
            None where it is not needed.
        threshold: Recall must be above it, strictly.
        answer_tokens: The ids of the needle's `answer` as they stand in the prompt, where known.
        stop_reason: What ended the text, where known, to say so in the reason.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The threshold is not between -1 and 1, or the stop reason unknown.

    Examples:
        >>> found = acceptance(" velvet comet", [5, 6], needle, tokenizer)
        >>> found.accepted, round(found.recall, 2), found.reason
        (True, 0.67, 'accepted')
    """
    require_text("text", text, blank=True)
    require_list("tokens", tokens, Integral, remedy=_REMEDY)
    require_type("needle", needle, Needle, remedy="Take prompt.needle.")
    if tokenizer is not None:
        require_tokenizer(tokenizer)
    require_number("threshold", threshold, at_least=-1, at_most=1)
    if answer_tokens is not None:
        require_list("answer_tokens", answer_tokens, Integral, at_least=1, remedy=_REMEDY)
    if stop_reason is not None:
        require_choice("stop_reason", stop_reason, get_args(StopReason))
    verdicts = []
    for answer in needle.answers:
        ids = answer_tokens if answer == needle.answer else None
        verdicts.append((*_recall(text, tokens, answer, ids, tokenizer), answer))
    recall, measure, answer = max(verdicts, key=lambda verdict: verdict[0])
    accepted = recall > threshold
    reason = "accepted"
    if not accepted:
        reason = _reason(text, answer, threshold, recall, measure)
        if text.strip() and stop_reason in _CUT:
            reason += _CUT[stop_reason].format(n=len(tokens))
    return Acceptance(accepted, reason, recall, measure, answer)


def token_recall(tokens: Sequence[int], answer_tokens: Sequence[int]) -> float:
    """Share of the answer's token ids, counted with repeats, that were generated.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The answer has no token.

    Examples:
        >>> token_recall([5, 6, 9], answer_tokens=[5, 6, 7, 8])
        0.5
    """
    require_list("tokens", tokens, Integral, remedy=_REMEDY)
    require_list("answer_tokens", answer_tokens, Integral, at_least=1, remedy=_REMEDY)
    overlap = Counter(answer_tokens) & Counter(tokens)
    return overlap.total() / len(answer_tokens)


def _recall(
    text: str,
    tokens: Sequence[int],
    answer: str,
    answer_tokens: Sequence[int] | None,
    tokenizer: Any,
) -> tuple[float, RecallMeasure]:
    """Recall of one right answer, and over what."""
    if (recall := _word_recall(text, answer)) is not None:
        return recall, "rouge1"
    if answer_tokens is None:
        require_tokenizer(tokenizer)
        answer_tokens = tokenizer.encode(answer, add_special_tokens=False)
    return token_recall(tokens, answer_tokens), "token-ids"


def _reason(text: str, answer: str, threshold: float, recall: float, measure: RecallMeasure) -> str:
    """Why an answer is rejected, with the numbers and the words."""
    if not text.strip():
        return "empty answer"
    name = {"rouge1": "ROUGE-1", "token-ids": "token-id"}[measure]
    lacking = _lacking(text, answer)
    lacks = f" (lacks {', '.join(lacking)})" if lacking else ""
    return (
        f"{name} recall {recall:.2f} of {shown(answer)} is not above {threshold:g}{lacks}; "
        f"the model answered {shown(text.strip())}"
    )


def _lacking(text: str, answer: str) -> list[str]:
    """The answer's words that the text has not, or not as often."""
    there = Counter(_words(stemmed=True).tokenize(text))
    words, stems = (_words(stemmed=stemmed).tokenize(answer) for stemmed in (False, True))
    there.subtract(stems)
    missing = []
    for word, stem in zip(reversed(words), reversed(stems), strict=True):
        if there[stem] < 0:
            there[stem] += 1
            missing.append(word)
    return missing[::-1]


# Under many conditions a model says the same of a needle, and curves judge answers repeatedly.
@lru_cache(maxsize=2**14)
def _word_recall(text: str, answer: str) -> float | None:
    """ROUGE-1 recall of an answer; None where ROUGE finds no word in it."""
    if not _words(stemmed=True).tokenize(answer):
        return None
    return float(_rouge().score(answer, text)["rouge1"].recall)


@cache
def _words(*, stemmed: bool) -> Any:
    """ROUGE's words: runs of Latin letters and digits."""
    from rouge_score.tokenizers import DefaultTokenizer

    return DefaultTokenizer(use_stemmer=stemmed)


@cache
def _rouge() -> Any:
    """ROUGE-1 with the stemmer on; built once, imported when needed."""
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rouge1"], use_stemmer=True)
