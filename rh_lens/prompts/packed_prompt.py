"""A prompt whose haystack hides other prompts' needles as well."""

from dataclasses import dataclass

from rh_lens.prompts.needle_prompt import NeedlePrompt


@dataclass(frozen=True, eq=False, repr=False)
class PackedPrompt(NeedlePrompt):
    """One question about a haystack with several needles; the others are its companions.

    The prompts of a turn have the same tokens up to `n_context`, and then each its own question.
    `context_length` is what was asked for: that of the turn's prompt with the longest question;
    the others are shorter by what their questions are.

    Args:
        n_tokens: Tokens in the whole prompt.
        n_context: Tokens before the question: those that the prompts of its turn share.
        turn: Which arrangement of the needles it is, counted from 0 within a length and group.
        companions: Names of the other needles, in the order in which they stand.
        companion_spans: Half-open positions of all tokens inserted for each of them.
        companion_answer_spans: Half-open positions of the tokens of their answers.
    """

    n_tokens: int = 0
    n_context: int = 0
    turn: int = 0
    companions: tuple[str, ...] = ()
    companion_spans: tuple[tuple[int, int], ...] = ()
    companion_answer_spans: tuple[tuple[int, int], ...] = ()

    def __repr__(self) -> str:
        beside = f"beside {len(self.companions)} other needles"
        return f"{super().__repr__()[:-1]}, {beside})".replace("NeedlePrompt", "PackedPrompt", 1)
