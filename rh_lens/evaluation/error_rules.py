"""The rules that tell how a failed answer fails, and what they are applied to."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rh_lens.checks import (
    require_flag,
    require_list,
    require_number,
    require_whole_number,
    shown,
)
from rh_lens.evaluation.prompt_parts import PromptParts
from rh_lens.evaluation.refusals import REFUSALS, is_refusal
from rh_lens.evaluation.repetition import (
    NOWHERE,
    longest_cycle,
    longest_own_run,
    run_lengths,
    words_of,
)
from rh_lens.evaluation.short_copies import said_answer, stands_in_full
from rh_lens.runtime.stop import decode_exactly

ERROR_TYPES = (
    "empty",
    "refusal",
    "repetition",
    "incomplete",
    "wrong extraction",
    "hallucination",
)
"""Ways to fail, in the order in which they are tried."""


@dataclass(frozen=True)
class ErrorRules:
    """Rules for the type of a failed answer; the first that holds names it.

    1. **empty**: no letter and no digit.
    2. **refusal**: one of the patterns `refusals` fits, and the text is no distractor's answer.
    3. **repetition**: a stretch of tokens goes through a cycle three times or more and covers at
       least `min_repeated` of the answer.
    4. **incomplete**: one or more words in a row, not all of them `FUNCTION_WORDS`, stand in the
       needle's answer and nowhere else in the prompt; or a run of tokens long enough for rule 5
       stands in the needle's answer, and none longer in the haystack.
    5. **wrong extraction**: a run of at least `min_copied_tokens` tokens, and of at least
       `min_copied` of all that was said, stands verbatim in the haystack: the prompt before its
       question, without the needle. Or, with `whole_answers` and however short: the text says a
       distractor's whole answer, or all that it says stands in a row in the haystack and is a name,
       a number or two words, function words at its ends apart.
    6. **hallucination**: anything else, from neither; also words of the question said again.

    Args:
        refusals: Regular expressions, searched for in `plain_sentences` of the text.
        min_repeated: Share of the tokens said, see rule 3.
        min_copied_tokens: Number of tokens, see rule 5.
        min_copied: Share of the tokens said, see rule 5.
        whole_answers: Whether short answers can be wrong extractions, see rule 5.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A share or a number is out of range, or a pattern is no regular expression.
    """

    refusals: tuple[str, ...] = REFUSALS
    min_repeated: float = 0.5
    min_copied_tokens: int = 4
    min_copied: float = 0.5
    whole_answers: bool = True

    def __post_init__(self) -> None:
        for pattern in require_list("refusals", self.refusals, str):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(
                    f"Expected refusals to be regular expressions; found {shown(pattern)}: "
                    f"{error}. Mend it, or escape it with re.escape."
                ) from None
        require_number("min_repeated", self.min_repeated, at_least=0, at_most=1)
        require_whole_number("min_copied_tokens", self.min_copied_tokens, at_least=1)
        require_number("min_copied", self.min_copied, at_least=0, at_most=1)
        require_flag("whole_answers", self.whole_answers)

    def error_type(self, text: str, n_tokens: int, found: dict[str, Any]) -> str:
        """One of `ERROR_TYPES`.

        Args:
            text: The answer.
            n_tokens: Tokens of the answer.
            found: Where they came from, from `trace`.
        """
        enough = max(self.min_copied_tokens, self.min_copied * n_tokens)
        copied, in_answer = found["copied_length"], found["answer_length"]
        whole = found["says_distractor"] or found["stands_in_haystack"]
        holds = {
            "empty": not any(character.isalnum() for character in text),
            "refusal": not found["says_distractor"] and is_refusal(text, self.refusals),
            "repetition": found["repeated_length"] >= max(1, self.min_repeated * n_tokens),
            "incomplete": found["answer_words"] > 0 or in_answer >= max(enough, copied),
            "wrong extraction": copied >= enough or (self.whole_answers and whole),
            "hallucination": True,
        }
        return next(error for error in ERROR_TYPES if holds[error])


def trace(parts: PromptParts, said: Sequence[int], text: str, tokenizer: Any) -> dict[str, Any]:
    """Where an answer's tokens came from.

    Args:
        parts: Of the prompt.
        said: Generated token ids.
        text: The same as text.
        tokenizer: Turns token ids into text.

    Returns:
        `repeated_length`, `answer_words`, `answer_length`, `copied_length`, `says_distractor`,
        `stands_in_haystack`, and where something was copied, `copied_step`, `copied_from`,
        `copied_depth`, `copied_text` and, where it is one, `distractor`; see `ERROR_COLUMNS`.
    """
    in_answer, _ = run_lengths(said, parts.answer)
    in_haystack, starts = run_lengths(said, parts.haystack)
    length = int(in_haystack.max(initial=0))
    last = int(in_haystack.argmax()) if length else 0
    start = int(starts[last]) if length else NOWHERE
    said_distractor = said_answer(text, parts.distractors)
    found = {
        "repeated_length": longest_cycle(said),
        "answer_words": longest_own_run(words_of(text), parts.answer_words, parts.other_words),
        "answer_length": int(in_answer.max(initial=0)),
        "copied_length": length,
        "says_distractor": said_distractor is not None,
        "stands_in_haystack": stands_in_full(text, parts.haystack_words, parts.names),
        "distractor": said_distractor or parts.distractor_at(start),
    }
    if not length:
        return found
    step = last - length + 1
    countable = parts.haystack != NOWHERE
    return {
        **found,
        "copied_step": step,
        "copied_from": start,
        "copied_depth": countable[:start].sum() / countable.sum(),
        "copied_text": decode_exactly(tokenizer, said[step : last + 1]),
    }
