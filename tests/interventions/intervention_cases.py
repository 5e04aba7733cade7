"""Prompts for operators that act while answers are decoded."""

import torch
from planted import make_prompt

from rh_lens.prompts import Needle, NeedlePrompt
from rh_lens.runtime import StopRule

NEVER = StopRule(frozenset())


def prompts_of(n_haystack: int = 60, seed: int = 3) -> list[NeedlePrompt]:
    """A needle of 7 tokens at three depths; the answer is tokens 2 to 5 of it."""
    generator = torch.Generator().manual_seed(seed)

    def random(n: int) -> list[int]:
        return torch.randint(2, 300, (n,), generator=generator).tolist()

    haystack, question, text = random(n_haystack), random(4), random(7)
    needle = Needle("What is it?", "It is an otter.", "an otter")
    return [
        make_prompt(
            [*haystack[:place], *text, *haystack[place:], *question],
            (place + 2, place + 6),
            needle,
        )
        for place in (5, n_haystack // 2, n_haystack)
    ]
