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

    The last token of every prompt, of which `prompt_lengths` tells the place, begins the next
    answer i. In its step t, which is the row t positions behind that token, the model says
    `answers[i][t]`, then the end-of-sequence token. A head named in `looks[i]` puts 3/4 of its
    attention on position `looks[i][layer, head][t]` and the rest on the first token; the others put
    all of it there.
    """

    bridge: Any
    prompt_lengths: list[int]
    answers: list[list[int]]
    looks: list[dict[tuple[int, int], list[int]]]
    trial: int = -1
    steps: range = range(0)
    answering: bool = False

    def fwd_hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        layers = [layer for layer, _ in self.bridge.blocks_with("attn")]
        patterns = [(f"blocks.{layer}.attn.hook_pattern", self._look) for layer in layers]
        counter = (f"blocks.{layers[0]}.attn.hook_pattern", self._count)
        return [counter, *patterns, ("unembed.hook_out", self._say)]

    def _count(self, pattern: Tensor, hook: Any) -> None:
        n_query, n_key = pattern.shape[-2:]
        n_before = n_key - n_query
        over = self.trial < 0 or self.steps.stop > len(self.answers[self.trial])
        if over and n_before + 1 in self.prompt_lengths[self.trial + 1 : self.trial + 2]:
            self.trial += 1
        first = n_before - (self.prompt_lengths[self.trial] - 1)
        self.answering = self.trial >= 0 and first >= 0
        if self.answering:
            self.steps = range(first, first + n_query)

    def _look(self, pattern: Tensor, hook: Any) -> Tensor | None:
        if not self.answering:
            return None
        planted = torch.zeros_like(pattern)
        planted[..., 0] = 1.0
        for (layer, head), positions in self.looks[self.trial].items():
            for row, step in enumerate(self.steps):
                if layer == hook.layer() and step < len(positions):
                    planted[0, head, row, 0] = 0.25
                    planted[0, head, row, positions[step]] += 0.75
        return planted

    def _say(self, logits: Tensor, hook: Any) -> Tensor | None:
        if not self.answering:
            return None
        said = [*self.answers[self.trial], 1]
        planted = torch.zeros_like(logits)
        for row, step in enumerate(self.steps):
            planted[0, row, said[min(step, len(said) - 1)]] = 1.0
        return planted
