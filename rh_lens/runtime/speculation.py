"""Speculative decoding by prompt lookup: guesses at an answer that one pass can verify."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from rh_lens.checks import require_list, require_span, require_type, require_whole_number

Tokens: TypeAlias = Sequence[int]

_REMEDY = "Pass token ids: [5, 17, ...]."

# Tokens of a first guess: longer than the answers to needles are.
FIRST_GUESS = 64
# Tokens of a first guess that is looked up in a document.
_LOOKED_UP = 16
# Longest run of last tokens that is looked up.
_N_GRAM = 3


@dataclass(eq=False)
class Draft:
    """Guesses at one answer.

    A guess that begins like the answer so far is continued; otherwise the last tokens are looked up
    in guesses, texts and the answer itself, and what followed them there is proposed. `allowance`
    bounds how many tokens a pass proposes: refusals shrink it, right guesses restore it. So refused
    rows are at most 4/3 of the first allowance, plus five for each token that was guessed right.

    Args:
        guesses: Whole answers, likeliest first, with what would end them.
        texts: Token sequences that the answer may copy from: the needle.
        document: A long text that the answer may copy from, looked up by two tokens or more.
        allowance: Most tokens the next pass may propose.

    Raises:
        TypeError: A field has the wrong type.
        ValueError: The allowance is negative.
    """

    guesses: Sequence[Tokens] = ()
    texts: Sequence[Tokens] = ()
    document: "NGramIndex | None" = None
    allowance: int = FIRST_GUESS
    n_proposed: int = field(default=0, init=False)
    n_accepted: int = field(default=0, init=False)
    _foreseen: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        for name in ("guesses", "texts"):
            for tokens in require_list(name, getattr(self, name), (list, tuple), remedy=_REMEDY):
                require_list(name, tokens, int, remedy=_REMEDY)
        if self.document is not None:
            require_type("document", self.document, NGramIndex, remedy="Make one of its tokens.")
        require_whole_number("allowance", self.allowance, at_least=0)

    def propose(self, generated: Tokens, room: int) -> list[int]:
        """Tokens that may come next, at most `room`."""
        guess = self._continuation(list(generated)) if room > 0 else []
        self._foreseen = guess[0] if guess else None
        return guess[: min(self.allowance, room)]

    def judge(self, proposed: Tokens, said: Tokens) -> int:
        """Number of proposed tokens that were right, given what the model says at each of them.

        Args:
            proposed: What `propose` gave.
            said: The model's own token after each prefix of the proposal: one more.
        """
        right = 0
        while right < len(proposed) and proposed[right] == said[right]:
            right += 1
        self.n_proposed += len(proposed)
        self.n_accepted += right
        if right < len(proposed):
            self.allowance = max(self.allowance // 4, 2 * right)
        elif self._foreseen == said[0]:
            self.allowance = max(2 * self.allowance, 4)
        return right

    def _continuation(self, generated: list[int]) -> list[int]:
        for guess in self.guesses:
            if list(guess[: len(generated)]) == generated:
                return list(guess[len(generated) :])
        for n in range(min(_N_GRAM, len(generated)), 0, -1):
            for text in (*self.guesses, *self.texts):
                if found := _after(generated[-n:], list(text)):
                    return found
            if self.document is not None and (found := self.document.after(generated[-n:])):
                return found
            # A model that repeats itself goes round and round. One token alone says little.
            if n > 1 and (period := _after(generated[-n:], generated)):
                return period * (self.allowance // len(period) + 1)
        return []


@dataclass(eq=False)
class NGramIndex:
    """Where runs of two and three tokens stand in a text, for looking up what followed them.

    Args:
        tokens: The text.
    """

    tokens: Tokens
    _ends: dict[tuple[int, ...], int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        tokens = self.tokens
        for n in range(2, _N_GRAM + 1):
            for end in range(n, len(tokens)):
                self._ends[tuple(tokens[end - n : end])] = end

    def after(self, tokens: Tokens) -> list[int]:
        """What follows the last occurrence of a run in the text; nothing after a single token."""
        end = self._ends.get(tuple(tokens))
        return [] if end is None else list(self.tokens[end : end + FIRST_GUESS])


@dataclass(eq=False)
class DraftMemory:
    """What a run has learned about its answers.

    Answers to one question are much alike wherever the needle stands, so the last one is the best
    guess at the next; a new question is expected to be answered with its needle's answer, and to
    end like the answers before.

    Args:
        closing: Tokens expected to end an answer before one has been seen.

    Raises:
        TypeError: They are no token ids.
    """

    closing: Tokens = ()
    _answers: dict[Hashable, list[int]] = field(default_factory=dict, init=False)
    _opening: int = field(default=FIRST_GUESS, init=False)

    def __post_init__(self) -> None:
        require_list("closing", self.closing, int, remedy=_REMEDY)

    def draft(self, question: Hashable, needle: Tokens, answer_span: tuple[int, int]) -> Draft:
        """Draft of the answer to a question.

        Args:
            question: Names the question.
            needle: Tokens of the needle.
            answer_span: Half-open span of the answer in them.

        Raises:
            TypeError: An argument is of another type.
            ValueError: The span is none of the needle's.
        """
        require_type("question", question, Hashable, remedy="Pass its text.")
        require_list("needle", needle, int, remedy=_REMEDY)
        start, stop = require_span("answer_span", answer_span, most=len(needle))
        answer = list(needle[start:stop])
        expected = [*answer, *self.closing], [*answer, *needle[stop:], *self.closing]
        last = self._answers.get(question)
        guesses = expected if last is None else (last, *expected)
        return Draft(guesses=guesses, texts=(list(needle),), allowance=self._opening)

    def lookup(self, prompt: Tokens) -> Draft:
        """Draft of an answer that may copy from its prompt (prompt lookup, Saxena 2023).

        Args:
            prompt: The prompt's tokens.

        Raises:
            TypeError: They are no token ids.
        """
        require_list("prompt", prompt, int, remedy=_REMEDY)
        return Draft(document=NGramIndex(prompt), allowance=min(self._opening, _LOOKED_UP))

    def judge(self, draft: Draft) -> None:
        """Remember how well a draft did: where guesses fail, the next one begins with fewer.

        Raises:
            TypeError: It is no draft.
        """
        require_type("draft", draft, Draft, remedy="Pass the one that draft() made.")
        if draft.n_proposed:
            useful = 2 * draft.n_accepted >= draft.n_proposed
            self._opening = FIRST_GUESS if useful else max(self._opening // 2, 4)

    def learn(self, question: Hashable, answer: Tokens, said: Tokens, draft: Draft) -> None:
        """Remember how a question was answered, and how well its draft did.

        Args:
            question: Names the question.
            answer: Tokens of the needle's answer.
            said: Everything the model said, what ended its answer included.
            draft: The draft that was tried.

        Raises:
            TypeError: An argument is of another type.
        """
        require_type("question", question, Hashable, remedy="Pass its text.")
        require_list("answer", answer, int, remedy=_REMEDY)
        require_list("said", said, int, remedy=_REMEDY)
        self.judge(draft)
        self._answers[question] = list(said)
        closing = _after(list(answer), list(said))
        if closing:
            self.closing = closing


def _after(tokens: list[int], text: list[int]) -> list[int]:
    """What follows the last occurrence of some tokens in a text, if anything does."""
    n = len(tokens)
    for end in range(len(text) - 1, n - 1, -1):
        if text[end - n : end] == tokens:
            return text[end:]
    return []
