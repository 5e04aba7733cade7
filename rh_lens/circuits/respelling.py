"""Other words of as many tokens: text in a prompt respelled so that no other token moves."""

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from rh_lens.prompts.pieces import PieceEncoder
from rh_lens.prompts.words import ADJECTIVES, NOUNS, TRADES, VERBS, invented_name, pick

# Draws for each word, and the shares of them from which on words are invented, and spelled.
_N_DRAWS = 400
_INVENTED, _SPELLED = 0.3, 0.6
_WORD = re.compile(r"\w+")
_LOWER_CASE = [*ADJECTIVES, *NOUNS, *TRADES, *VERBS]


class NotAlignedError(ValueError):
    """No respelling of a text was found that leaves every other token in its place."""


@dataclass(frozen=True, eq=False)
class PromptText:
    """Tokens of a prompt as text that encodes to exactly these tokens.

    Args:
        encoder: The tokenizer's encoder.
        tokens: The tokens.
        text: Their text.
    """

    encoder: PieceEncoder
    tokens: Int[Tensor, " pos"]
    text: str

    @classmethod
    def of(cls, encoder: PieceEncoder, tokens: Int[Tensor, " pos"]) -> "PromptText":
        """The text of some tokens.

        Raises:
            NotAlignedError: The text encodes to other tokens.
        """
        text = encoder.decode(tokens)
        if not encoder.encode_within(text).tokens.equal(tokens):
            raise NotAlignedError(
                f"Expected text that encodes to the prompt's own tokens; found that {text[:60]!r} "
                "encodes to others. Build the prompt with this tokenizer."
            )
        return cls(encoder, tokens, text)

    def respelled(self, start: int, stop: int, put: str) -> Int[Tensor, " pos"] | None:
        """The tokens with `put` in place of characters start to stop, if no other token moves."""
        new = self.encoder.encode_within(self.text[:start] + put + self.text[stop:])
        if len(new.tokens) != len(self.tokens):
            return None
        first, end = self.encoder.encode_within(self.text).span(start, stop)
        kept = [*range(first), *range(end, len(self.tokens))]
        return new.tokens if new.tokens[kept].equal(self.tokens[kept]) else None


def respell_as(
    text: PromptText, start: int, stop: int, candidates: Iterable[str]
) -> tuple[Int[Tensor, " pos"], str] | None:
    """The first candidate that fits in place of characters start to stop, and the tokens then.

    The first token that it replaces must differ.
    """
    first, _ = text.encoder.encode_within(text.text).span(start, stop)
    for candidate in candidates:
        tokens = text.respelled(start, stop, candidate)
        if tokens is not None and tokens[first] != text.tokens[first]:
            return tokens, candidate
    return None


def respell_words(
    text: PromptText, words: Sequence[tuple[int, int]], rng: random.Random
) -> tuple[Int[Tensor, " pos"], str]:
    """Tokens and text in which every one of some words is another of its kind.

    A number becomes a number of as many digits, a capitalised word an invented name, any other a
    common English word or, where none fits, an invented one, or at last the letters of random
    tokens. Of the draws that fit, the one that changes most of the word's tokens is taken.

    Args:
        text: The text.
        words: Half-open character spans, rising.
        rng: Draws the words.

    Raises:
        NotAlignedError: For some word no draw has as many tokens as it.
    """
    current = text
    for start, stop in reversed(words):
        current = _best_draw(current, start, stop, rng)
    return current.tokens, current.text


def word_spans(text: str, start: int = 0, stop: int | None = None) -> list[tuple[int, int]]:
    """Half-open character spans of the words between two places, rising."""
    stop = len(text) if stop is None else stop
    return [match.span() for match in _WORD.finditer(text, start, stop)]


def _best_draw(text: PromptText, start: int, stop: int, rng: random.Random) -> PromptText:
    word, best, most = text.text[start:stop], None, 0
    first, end = text.encoder.encode_within(text.text).span(start, stop)
    for draw in range(_N_DRAWS):
        put = _other_word(text.encoder, word, end - first, rng, share=draw / _N_DRAWS)
        tokens = text.respelled(start, stop, put)
        if tokens is None:
            continue
        n_changed = int((tokens[first:end] != text.tokens[first:end]).sum())
        if n_changed > most:
            whole = text.text[:start] + put + text.text[stop:]
            best, most = PromptText(text.encoder, tokens, whole), n_changed
        if most == end - first:
            break
    if best is None:
        raise NotAlignedError(
            f"Expected another word in place of {word!r} with {end - first} tokens; found none "
            f"in {_N_DRAWS} draws. Give candidates of your own, or leave the prompt out."
        )
    return best


def _other_word(
    encoder: PieceEncoder, word: str, n_tokens: int, rng: random.Random, *, share: float
) -> str:
    """A word of a word's kind: a common one, later an invented one, at last a few tokens' text."""
    if word.isdecimal():
        digits = len(word)
        return str(rng.randrange(10 ** (digits - 1), 10**digits))
    capitalised = word[:1].isupper()
    if share < _INVENTED and not capitalised:
        return pick(rng, _LOWER_CASE)
    if share < _SPELLED:
        name = invented_name(rng, "train")
        return name if capitalised else name.lower()
    return "".join(_letters(encoder, rng, capitalised and not place) for place in range(n_tokens))


def _letters(encoder: PieceEncoder, rng: random.Random, capitalised: bool) -> str:
    """The letters of a random token that has nothing else but a space."""
    for _ in range(_N_DRAWS):
        letters = encoder.decode([rng.randrange(len(encoder.tokenizer))]).strip()
        if letters.isalpha() and letters[:1].isupper() == capitalised and letters[1:].islower():
            return letters
    return ""
