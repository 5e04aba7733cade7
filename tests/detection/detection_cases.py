"""Answered prompts made by hand or at random, to compare definitions with plain loops."""

from dataclasses import dataclass

import torch
from planted import make_prompt
from torch import Tensor

from rh_lens.detection import (
    AttentionSources,
    Trial,
    judge_trial,
    most_attended,
    source_margin,
    span_mass,
)
from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime import Generation

N_LAYERS, N_HEADS, N_PROMPT, N_STEPS = 3, 4, 20, 9
SPAN = (8, 14)


@dataclass(frozen=True, eq=False)
class Case:
    """A prompt, what was generated, and the attention rows of every step, layer and head."""

    prompt: NeedlePrompt
    generated: Tensor
    rows: list[list[list[list[float]]]]
    sources: AttentionSources

    def trial(self, index: int, tokenizer: object) -> Trial:
        """The case as a trial; its text plays no part in the scores."""
        generation = Generation(self.generated, "an otter", "eos")
        return judge_trial(index, self.prompt, generation, self.sources, tokenizer)


def random_case(seed: int, *, first_visible: int = 0) -> Case:
    """Few token types and attention drawn to the answer, so that copies and repeats are common."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(40, 44, (N_PROMPT,), generator=generator)
    generated = torch.randint(40, 44, (N_STEPS,), generator=generator)
    n_key = N_PROMPT + N_STEPS - 1
    attention = torch.randn(N_STEPS, N_LAYERS, N_HEADS, n_key, generator=generator)
    attention[..., slice(*SPAN)] += 1.5
    # Coarse weights make ties; a mask hides the future.
    attention = (attention * 4).round() / 4
    position = torch.arange(N_PROMPT - 1, n_key)
    future = torch.arange(n_key) > position[:, None, None, None]
    rows = attention.masked_fill(future, -torch.inf).softmax(dim=-1)
    patterns = rows.reshape(1, -1, 1, n_key)
    source, weight = most_attended(patterns)
    shape = (N_STEPS, N_LAYERS, N_HEADS)
    sources = AttentionSources(
        layers=tuple(range(N_LAYERS)),
        n_layers=N_LAYERS,
        query_position=position,
        source=source.reshape(shape),
        weight=weight.reshape(shape),
        margin=source_margin(patterns).reshape(shape),
        needle_mass=span_mass(patterns, *SPAN).reshape(shape),
        sink_mass=span_mass(patterns, 0, 1).reshape(shape),
        first_visible=torch.full((N_STEPS, N_LAYERS), first_visible),
    )
    return Case(make_prompt(tokens.tolist(), SPAN), generated, rows.tolist(), sources)


def make_sources(positions, *, layers=(0, 2), n_layers=3, first_visible=0, needle=True):
    """Sources whose weight counts the rows, so that a row can be told from another."""
    shape = (len(positions), len(layers), 2)
    count = torch.arange(len(positions), dtype=torch.float32)[:, None, None].expand(shape)
    return AttentionSources(
        layers=layers,
        n_layers=n_layers,
        query_position=torch.tensor(positions, dtype=torch.long),
        source=torch.zeros(shape, dtype=torch.long),
        weight=count,
        margin=count,
        needle_mass=count if needle else None,
        sink_mass=count,
        first_visible=torch.full(shape[:2], first_visible),
    )
