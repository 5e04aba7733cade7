"""Which tokens of a long prompt and its answer are shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Int
from torch import Tensor

from rh_lens.prompts import NeedlePrompt
from rh_lens.representation import short_repr

_QUESTION = 24


@dataclass(frozen=True, eq=False)
class Crop:
    """Tokens that are shown, in order; a None is a gap.

    Args:
        places: Positions in prompt and answer, with None where some are left out.
        n_tokens: Tokens of prompt and answer together.
        needle: Positions of the needle.
        answer: Positions of the needle's answer.
    """

    places: tuple[int | None, ...]
    n_tokens: int
    needle: range
    answer: range

    __repr__ = short_repr

    def texts(self, tokens: Sequence[int], tokenizer: Any) -> list[str]:
        """The text of each place; of a gap, how many tokens it leaves out."""
        shown = [place for place in self.places if place is not None]
        names = {token: tokenizer.decode([token]) for token in {tokens[place] for place in shown}}
        texts, last = [], -1
        for index, place in enumerate(self.places):
            if place is None:
                texts.append(f" [{self.places[index + 1] - last - 1:,} tokens] ")  # type: ignore[operator]
            else:
                texts.append(names[tokens[place]])
                last = place
        return texts

    def caption(self) -> str:
        """What is left out, in a sentence."""
        n = sum(place is not None for place in self.places)
        if n == self.n_tokens:
            return f"All {n:,} tokens are shown."
        return (
            f"{n:,} of {self.n_tokens:,} tokens are shown: the first one, those around the needle, "
            "the last ones of the question, and the answer."
        )


def crop(prompt: NeedlePrompt, n_answer: int, around: int | None) -> Crop:
    """The first token, those around the needle, the question's last 24, and the answer.

    Args:
        prompt: The prompt.
        n_answer: Tokens of the answer after it.
        around: Tokens before and after the needle; None shows everything.
    """
    n_prompt = len(prompt.tokens)
    n_tokens = n_prompt + n_answer
    start, stop = prompt.needle_span
    wanted = set(range(n_tokens))
    if around is not None:
        wanted = {0, *range(max(0, n_prompt - _QUESTION), n_tokens)}
        wanted |= set(range(max(0, start - around), min(n_prompt, stop + around)))
    places: list[int | None] = []
    for place in sorted(wanted):
        if place and place - 1 not in wanted:
            places.append(None)
        places.append(place)
    return Crop(tuple(places), n_tokens, range(start, stop), range(*prompt.answer_span))


def answer_ids(prompt: NeedlePrompt, answer: Int[Tensor, " step"]) -> list[int]:
    """Token ids of prompt and answer.

    Raises:
        ValueError: The prompt was read from a run that did not save its tokens.
    """
    if len(prompt.tokens) and int(prompt.tokens.min()) < 0:
        raise ValueError(
            "Expected a prompt with its tokens; found one of a stored run, which has only the "
            "answer's. Load the run with its prompts: load_run(path, prompts=prompts)."
        )
    return [*prompt.tokens.tolist(), *answer.tolist()]
