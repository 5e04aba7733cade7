"""Answers whose heads look where a test wants them to, without a model."""

import torch
from planted import make_prompt
from torch import Tensor

from rh_lens.detection import AttentionSources
from rh_lens.doubts import AnswerRows
from rh_lens.prompts import Needle

N_PROMPT, START, LENGTH = 120, 40, 6
OTHER = 80
SPAN, OTHER_SPAN = (START, START + LENGTH), (OTHER, OTHER + LENGTH)


def needle(name):
    return Needle(f"What is {name}?", f"{name} is an otter.", "an otter")


def made_rows(source: Tensor, name: str = "a", said=None) -> AnswerRows:
    """An answer of 6 different tokens at 40 to 45 of 120, looked at as `source` says.

    The answer of another needle stands at 80 to 85.
    """
    source = source.long()
    n_steps, n_layers = source.shape[:2]
    prompt = make_prompt(list(range(200, 200 + N_PROMPT)), SPAN, needle(name))
    object.__setattr__(prompt, "distractor_spans", (OTHER_SPAN,))
    object.__setattr__(prompt, "distractor_answer_spans", (OTHER_SPAN,))
    said = prompt.answer_tokens[:n_steps] if said is None else said
    flat = torch.zeros(source.shape)
    sources = AttentionSources(
        layers=tuple(range(n_layers)),
        n_layers=n_layers,
        query_position=torch.arange(N_PROMPT - 1, N_PROMPT - 1 + n_steps),
        source=source,
        weight=flat + 0.5,
        margin=flat + 0.2,
        needle_mass=flat,
        sink_mass=flat,
        first_visible=torch.zeros(n_steps, n_layers, dtype=torch.long),
    )
    ranked = torch.stack([source, source + 1, source + 2], dim=-1)
    return AnswerRows(prompt, said, sources, ranked, flat, flat, torch.ones(n_steps))


def random_looks(generator, n_heads=4, n_steps=LENGTH, below=N_PROMPT):
    return torch.randint(0, below, (n_steps, 1, n_heads), generator=generator)


def copying(looks: Tensor, head: int) -> Tensor:
    """The looks with one head that copies the answer token by token."""
    looks = looks.clone()
    looks[:, 0, head] = START + torch.arange(len(looks))
    return looks
