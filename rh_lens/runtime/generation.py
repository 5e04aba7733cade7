"""What a model says to one prompt, and the same while it is under way."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from rh_lens.representation import short_repr
from rh_lens.runtime.architecture import FwdHooks
from rh_lens.runtime.speculation import Draft
from rh_lens.runtime.stop import StopReason, StopRule, decode_exactly, tokens_before


@dataclass(frozen=True, eq=False)
class Generation:
    """One greedy answer.

    Args:
        tokens: Generated token ids, on the CPU. What ended the answer is not among them.
        text: The tokens as text, without special tokens.
        stop_reason: "eos", "newline", "string", or "length" when `max_new_tokens` were generated.
        said: The tokens again, with those that ended the answer.
        n_passes: Passes through the model that the answer took, without the prefill.
    """

    tokens: Int[Tensor, " step"]
    text: str
    stop_reason: StopReason
    said: tuple[int, ...] = ()
    n_passes: int = 0

    __repr__ = short_repr


@dataclass(eq=False)
class GenerationUnderWay:
    """A generation under way.

    Args:
        tokenizer: The model's.
        token: The token that passes next: at first the prompt's last one.
        max_new_tokens: Longest answer, in tokens.
        stop: What ends the answer earlier.
        draft: Guesses to verify, if any.
    """

    tokenizer: Any
    token: int
    max_new_tokens: int
    stop: StopRule
    draft: Draft | None = None
    _result: Generation | None = field(default=None, init=False)
    _said: list[int] = field(default_factory=list, init=False)
    _guess: list[int] = field(default_factory=list, init=False)
    _n_passes: int = field(default=0, init=False)

    def is_open(self) -> bool:
        """Whether the answer has not ended."""
        return self._result is None

    def result(self) -> Generation:
        """The answer, when it has ended."""
        assert self._result is not None
        return self._result

    def next_tokens(self) -> list[int]:
        """Tokens of the next pass: the last one, and guesses at those after it."""
        room = self.max_new_tokens - len(self._said) - 1
        self._guess = self.draft.propose(self._said, room) if self.draft else []
        return [self.token, *self._guess]

    def take(self, predicted: Sequence[int]) -> int:
        """Go on by what the model says after each token of the pass.

        Returns:
            Tokens of the pass that belong to the answer: the last one, and the right guesses.
        """
        self._n_passes += 1
        n_right = self.draft.judge(self._guess, predicted) if self.draft else 0
        for token in predicted[: n_right + 1]:
            self.token = token
            self._said.append(token)
            ending = self._ending()
            if ending is not None:
                self._result = self._kept(*ending)
                break
        return n_right + 1

    def _ending(self) -> tuple[int, StopReason] | None:
        """How many of the tokens to keep and why, if the answer has ended."""
        if self._said[-1] in self.stop.token_ids:
            return len(self._said) - 1, "eos"
        if self.stop.strings:
            match = self.stop.first_match(decode_exactly(self.tokenizer, self._said))
            if match is not None:
                start, reason = match
                return tokens_before(self.tokenizer, self._said, start), reason
        if len(self._said) == self.max_new_tokens:
            return self.max_new_tokens, "length"
        return None

    def _kept(self, n_kept: int, reason: StopReason) -> Generation:
        """The answer made of the first of the tokens."""
        kept, said = self._said[:n_kept], tuple(self._said)
        text = self.tokenizer.decode(
            kept, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return Generation(torch.tensor(kept, dtype=torch.long), text, reason, said, self._n_passes)


@dataclass(frozen=True, eq=False)
class Asked:
    """One prompt asked under one condition.

    Args:
        answer: The answer, not begun.
        prefill_hooks: Forward hooks for the reading of the prompt, as if nothing else were read.
        decode_hooks: Forward hooks for the decoding passes, as if they had no other rows.
    """

    answer: GenerationUnderWay
    prefill_hooks: FwdHooks
    decode_hooks: FwdHooks
