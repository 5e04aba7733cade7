"""What an answer may have come from: a prompt's haystack, needle and question, told apart."""

import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from rh_lens.evaluation.repetition import NOWHERE, words_of
from rh_lens.evaluation.short_copies import names_of
from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime.stop import decode_exactly

# Tokens after the question (the end of a chat template) that are searched at most.
_N_BEHIND = 200


@dataclass(frozen=True, eq=False)
class PromptParts:
    """A prompt's haystack and answer as tokens, and the words of its answer and of all the rest.

    Args:
        haystack: Token ids of the prompt up to its question; `NOWHERE` at the needle, and from the
            question on.
        answer: Token ids of the needle's answer.
        answer_words: Words of the needle's answer.
        other_words: Words of the prompt without the needle.
        haystack_words: Those of them before the question.
        names: Words that the prompt without the needle uses as names only, without case.
        distractors: Half-open positions of each distractor, by its answer.
    """

    haystack: Int[np.ndarray, " pos"]
    answer: Int[np.ndarray, " answer"]
    answer_words: tuple[str, ...]
    other_words: tuple[str, ...]
    haystack_words: tuple[str, ...]
    names: frozenset[str]
    distractors: dict[str, tuple[int, int]]

    def distractor_at(self, position: int) -> str | None:
        """Answer of the distractor that stands at a position, or None."""
        for answer, (start, stop) in self.distractors.items():
            if start <= position < stop:
                return answer
        return None


def prompt_parts(prompt: NeedlePrompt, tokenizer: Any) -> PromptParts:
    """The parts of a prompt.

    The haystack has what the template puts in front of it, and between it and the question.
    """
    start, stop = prompt.needle_span
    asked = question_start(prompt, tokenizer)
    haystack = prompt.tokens.numpy().copy()
    haystack[start:stop] = NOWHERE
    haystack[asked:] = NOWHERE
    tokens = prompt.tokens.tolist()
    ranges = (slice(start), slice(stop, asked), slice(asked, None))
    before, after, question = (decode_exactly(tokenizer, tokens[part]) for part in ranges)
    # The empty word keeps runs from spanning the place where the needle stood.
    haystack_words = (*words_of(before), "", *words_of(after))
    answers = (fact.answer for fact in prompt.needle.distractors)
    return PromptParts(
        haystack=haystack,
        answer=prompt.answer_tokens.numpy(),
        answer_words=tuple(words_of(prompt.needle.answer)),
        other_words=(*haystack_words, *words_of(question)),
        haystack_words=haystack_words,
        names=names_of(before) | names_of(after),
        distractors=dict(zip(answers, prompt.distractor_spans, strict=False)),
    )


def question_start(prompt: NeedlePrompt, tokenizer: Any) -> int:
    """Position of the question's first token; the prompt's length where it is not found.

    The question is looked for from the prompt's end on, letter for letter but for case, accents
    and spaces, which some tokenizers change.
    """
    wanted = _letters(prompt.needle.question)
    tokens = prompt.tokens.tolist()

    def follows(position: int) -> bool:
        return wanted in _letters(decode_exactly(tokenizer, tokens[position:]))

    # A token may be a single byte, of which a letter can have four.
    low = max(prompt.needle_span[1], len(tokens) - 4 * len(wanted) - _N_BEHIND)
    if not follows(low):
        return len(tokens)
    # The last position from which on the whole question follows, by halving.
    high = len(tokens)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if follows(middle) else (low, middle)
    return low


def _letters(text: str) -> str:
    """The text without case, accents and spaces."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in plain if not c.isspace() and not unicodedata.combining(c))
