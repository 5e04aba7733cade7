"""Prompts that the planted circuit answers: it goes on as after the same token earlier."""

import torch
from planted import make_prompt

from rh_lens.prompts import Needle

N_PROMPT, LENGTH = 60, 5


def planted_prompts(n: int = 4, seed: int = 0):
    """A BOS, other tokens, and in them a token with the answer behind it; that token ends it."""
    prompts = []
    for place in range(n):
        generator = torch.Generator().manual_seed(seed + place)
        tokens = torch.randperm(318, generator=generator)[: N_PROMPT - 2] + 2
        start = 10 + 8 * (place % 4)
        filled = [0, *tokens.tolist(), int(tokens[start - 2])]
        needle = Needle(f"What is {place}?", f"{place} is an otter.", "an otter")
        prompts.append(make_prompt(filled, (start, start + LENGTH), needle))
    return prompts
