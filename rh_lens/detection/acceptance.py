"""Whether an answer retrieved the needle."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias

from rh_lens.prompts import Needle

RecallMeasure: TypeAlias = Literal["rouge1", "token-ids"]


@dataclass(frozen=True)
class Acceptance:
    """Verdict on one generated answer.

    Args:
        accepted: Whether the recall is above the threshold.
        reason: "accepted", or why not, for a human reader.
        recall: Share of the needle's answer that was generated, in [0, 1].
        recall_measure: "rouge1" (stemmed words), or "token-ids" where ROUGE finds no word.
    """

    accepted: bool
    reason: str
    recall: float
    recall_measure: RecallMeasure


def acceptance(
    text: str,
    tokens: Sequence[int],
    needle: Needle,
    tokenizer: Any,
    *,
    threshold: float = 0.5,
    answer_tokens: Sequence[int] | None = None,
) -> Acceptance:
    """Whether a generated answer retrieved the needle's answer.

    Accepted when ROUGE-1 recall (stemmed) of the text against the answer is above the threshold
    (Wu et al. 2024, arXiv:2404.15574, and its code). ROUGE knows Latin letters and digits only:
    where it finds no word in the answer (Korean, Chinese ...), recall is counted over token ids.

    Args:
        text: Generated text.
        tokens: Generated token ids.
        needle: The needle asked for.
        tokenizer: Encodes the answer for token-id recall when `answer_tokens` is not given.
        threshold: Recall must be above it, strictly.
        answer_tokens: The answer's ids as they stand in the prompt, where known.
    """
    if _rouge().score(needle.answer, needle.answer)["rouge1"].recall > 0:
        measure: RecallMeasure = "rouge1"
        recall = float(_rouge().score(needle.answer, text)["rouge1"].recall)
    else:
        measure = "token-ids"
        if answer_tokens is None:
            answer_tokens = tokenizer.encode(needle.answer, add_special_tokens=False)
        recall = token_recall(tokens, answer_tokens)
    accepted = recall > threshold
    reason = "accepted" if accepted else _reason(text, needle, threshold, recall, measure)
    return Acceptance(accepted, reason, recall, measure)


def token_recall(tokens: Sequence[int], answer_tokens: Sequence[int]) -> float:
    """Share of the answer's token ids, counted with repeats, that were generated."""
    overlap = Counter(answer_tokens) & Counter(tokens)
    return overlap.total() / len(answer_tokens)


def _reason(
    text: str, needle: Needle, threshold: float, recall: float, measure: RecallMeasure
) -> str:
    """Why an answer is rejected, with the numbers and the words."""
    if not text.strip():
        return "empty answer"
    name = {"rouge1": "ROUGE-1", "token-ids": "token-id"}[measure]
    return (
        f"{name} recall {recall:.2f} of {needle.answer!r} is not above {threshold:g}; "
        f"the model answered {text.strip()!r}"
    )


@cache
def _rouge() -> Any:
    """ROUGE-1 with the stemmer on; built once, imported when needed."""
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rouge1"], use_stemmer=True)
