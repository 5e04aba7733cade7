"""Four ways to corrupt a prompt so that it says something else at the same positions."""

import random
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from rh_lens.circuits.respelling import (
    NotAlignedError,
    PromptText,
    respell_as,
    respell_words,
    word_spans,
)
from rh_lens.prompts import Haystack, NeedlePrompt
from rh_lens.prompts.haystack_tokens import tokenize_haystack
from rh_lens.prompts.pieces import PieceEncoder

# Tokens of other text that a stretch of whole sentences is searched in.
_N_FILLER = 6_000
# Words that say nothing about what a needle is about.
_FUNCTION_WORDS = frozenset(
    "a an the of in on at to by for from with near and or is are was were be been has have had do "
    "does did that this what who where when why how which whom whose it its his her their".split()
)


def other_answer(
    prompt: NeedlePrompt, candidates: Iterable[str], rng: random.Random
) -> tuple[Int[Tensor, " pos"], str]:
    """The prompt's tokens with another answer in the needle, and that answer."""
    text = _needle_text(prompt)
    start, stop = _answer_characters(prompt, text.text)
    others = (one for one in candidates if one.casefold() not in _answers(prompt))
    found = respell_as(text, start, stop, others)
    if found is None:
        tokens, whole = respell_words(text, word_spans(text.text, start, stop), rng)
        found = tokens, whole[start : len(whole) - (len(text.text) - stop)]
    return _with(prompt, prompt.needle_span, found[0]), found[1]


def without_needle(
    prompt: NeedlePrompt, filler: Haystack, rng: random.Random
) -> tuple[Int[Tensor, " pos"], str]:
    """The prompt's tokens with whole sentences of other text in the needle's place."""
    encoder = PieceEncoder(prompt.tokenizer)
    first, end = prompt.needle_span
    n_needed, hay = end - first, tokenize_haystack(encoder, filler, n_tokens=_N_FILLER)
    bounds = hay.boundaries[1:]
    fits = [int(start) for start in bounds if start + n_needed in set(bounds.tolist())]
    if not fits:
        lengths = sorted(set(np.diff(bounds).tolist()))
        raise NotAlignedError(
            f"Expected whole sentences of {n_needed} tokens, the needle's, in {filler.name!r}; "
            f"found sentences of {lengths[:12]} tokens. Give more text with filler=..., or write "
            "the needle shorter or longer."
        )
    start = fits[rng.randrange(len(fits))]
    put = hay.tokens[start : start + n_needed]
    return _with(prompt, prompt.needle_span, put), encoder.decode(put)


def other_question(
    prompt: NeedlePrompt, candidates: Sequence[str], rng: random.Random
) -> tuple[Int[Tensor, " pos"], str]:
    """The prompt's tokens with another question, and that question."""
    encoder = PieceEncoder(prompt.tokenizer)
    question, span = prompt.needle.question, _question_span(prompt, encoder)
    text = PromptText.of(encoder, prompt.tokens[slice(*span)])
    start = text.text.rindex(question)
    stop = start + len(question)
    found = respell_as(text, start, stop, [one for one in candidates if one != question])
    if found is None:
        words = [place for place in word_spans(text.text, start, stop) if _tells(text.text, place)]
        if not words:
            raise _no_words("question", question)
        tokens, whole = respell_words(text, words, rng)
        found = tokens, whole[start : len(whole) - (len(text.text) - stop)]
    return _with(prompt, span, found[0]), found[1]


def other_key(prompt: NeedlePrompt, rng: random.Random) -> tuple[Int[Tensor, " pos"], str]:
    """The prompt's tokens with other words where the needle repeats its question's, and its text.

    Words of the answer stay.
    """
    text = _needle_text(prompt)
    start, stop = _answer_characters(prompt, text.text)
    asked = {word.casefold() for word in _words(prompt.needle.question)}
    words = [
        place
        for place in word_spans(text.text)
        if not start <= place[0] < stop
        and text.text[slice(*place)].casefold() in asked
        and _tells(text.text, place)
    ]
    if not words:
        raise _no_words("needle that are in its question too", text.text)
    tokens, whole = respell_words(text, words, rng)
    return _with(prompt, prompt.needle_span, tokens), whole


def _needle_text(prompt: NeedlePrompt) -> PromptText:
    tokens = prompt.tokens[slice(*prompt.needle_span)]
    return PromptText.of(PieceEncoder(prompt.tokenizer), tokens)


def _answers(prompt: NeedlePrompt) -> set[str]:
    return {answer.casefold() for answer in prompt.needle.answers}


def _answer_characters(prompt: NeedlePrompt, text: str) -> tuple[int, int]:
    """The answer's characters in the text of the needle's tokens."""
    if prompt.needle.text not in text:
        raise NotAlignedError(
            f"Expected the needle's text in its tokens; found {text[:80]!r}. The tokenizer changes "
            "letters: use a cased one."
        )
    start = text.index(prompt.needle.text)
    first, end = prompt.needle.answer_characters
    return start + first, start + end


def _question_span(prompt: NeedlePrompt, encoder: PieceEncoder) -> tuple[int, int]:
    """Positions of the fewest last tokens that hold the whole question."""
    n_tokens, question = len(prompt.tokens), prompt.needle.question
    for first in range(n_tokens - 1, prompt.needle_span[1] - 1, -1):
        if question in encoder.decode(prompt.tokens[first:]):
            return first, n_tokens
    raise NotAlignedError(
        f"Expected the question {question!r} after the needle; found none. Build the prompt with "
        "build_prompt."
    )


def _words(text: str) -> list[str]:
    return [text[slice(*place)] for place in word_spans(text)]


def _tells(text: str, place: tuple[int, int]) -> bool:
    """Whether a word says something about what a needle is about."""
    word = text[slice(*place)].casefold()
    return len(word) > 1 and word not in _FUNCTION_WORDS


def _no_words(what: str, text: str) -> NotAlignedError:
    return NotAlignedError(
        f"Expected words in the {what}, function words apart; found none in {text[:80]!r}. Corrupt "
        "this prompt in another way."
    )


def _with(
    prompt: NeedlePrompt, span: tuple[int, int], put: Int[Tensor, " _"]
) -> Int[Tensor, " pos"]:
    """The prompt's tokens with others in a span."""
    first, end = span
    return torch.cat([prompt.tokens[:first], put.to(prompt.tokens), prompt.tokens[end:]])
