"""Prompts of given tokens, and a model made to answer and to look as a test wants it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rh_lens.prompts import Needle, NeedlePrompt


def make_prompt(
    tokens: list[int], answer_span: tuple[int, int], needle: Needle | None = None
) -> NeedlePrompt:
    """A prompt of given token ids; the needle's text plays no part unless it is given."""
    return NeedlePrompt(
        tokens=torch.tensor(tokens),
        answer_span=answer_span,
        needle_span=answer_span,
        needle=needle or Needle(question="What is it?", text="It is an otter.", answer="an otter"),
        context_length=len(tokens),
        requested_depth=0.5,
        depth=0.5,
        haystack_name="made up",
        haystack_sha256="0" * 64,
        haystack_start=0,
        haystack_repeats=1,
        template_name="none",
    )


@dataclass(eq=False)
class PlantedModel:
    """Hooks that make a bridge answer given tokens and look at given positions.

    Every prefill begins the next answer i. In its step t the model says `answers[i][t]`, then the
    end-of-sequence token. A head named in `looks[i]` puts 3/4 of its attention on position
    `looks[i][layer, head][t]` and the rest on the first token; the others put all of it there.
    """

    bridge: Any
    answers: list[list[int]]
    looks: list[dict[tuple[int, int], list[int]]]
    trial: int = -1
    step: int = -1

    def fwd_hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        patterns = [
            (f"blocks.{layer}.attn.hook_pattern", self._look)
            for layer, _ in self.bridge.blocks_with("attn")
        ]
        return [("hook_embed", self._count), *patterns, ("unembed.hook_out", self._say)]

    def _count(self, embedding: Tensor, hook: Any) -> None:
        prefill = embedding.shape[1] > 1
        self.trial += prefill
        self.step = -1 if prefill else self.step + 1

    def _look(self, pattern: Tensor, hook: Any) -> Tensor | None:
        if self.step < 0:
            return None
        planted = torch.zeros_like(pattern)
        planted[..., 0] = 1.0
        for (layer, head), positions in self.looks[self.trial].items():
            if layer == hook.layer() and self.step < len(positions):
                planted[0, head, -1, 0] = 0.25
                planted[0, head, -1, positions[self.step]] += 0.75
        return planted

    def _say(self, logits: Tensor, hook: Any) -> Tensor | None:
        if self.step < 0:
            return None
        said = [*self.answers[self.trial], 1]
        planted = torch.zeros_like(logits)
        planted[0, -1, said[min(self.step, len(said) - 1)]] = 1.0
        return planted
