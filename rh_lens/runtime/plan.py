"""The order of prompts that reuses most of what was read."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from rh_lens.representation import short_repr
from rh_lens.runtime.context import shared_prefix

UNIT = 32
"""Prompts of a unit: see `Plan.units`. Fewer are read anew more often, more are harder to share."""


@dataclass(frozen=True)
class Step:
    """One prompt of a plan.

    Args:
        prompt: Index of the prompt.
        n_shared: Tokens at its start that the prompt before left in the cache.
    """

    prompt: int
    n_shared: int


@dataclass(frozen=True)
class Plan:
    """Order in which prompts are read.

    Args:
        steps: Every prompt once.
        n_tokens: Tokens in the prompts.
        unit: Prompts of a unit.
    """

    steps: tuple[Step, ...]
    n_tokens: int
    unit: int

    __repr__ = short_repr

    @property
    def n_computed(self) -> int:
        """Tokens that are read, those at the start of a prompt that are in the cache left out."""
        return self.n_tokens - sum(step.n_shared for step in self.steps)

    @property
    def units(self) -> tuple[tuple[int, ...], ...]:
        """Indices of the prompts in the order of the plan, `unit` at a time.

        A unit begins with an empty cache, and nothing that was learned about the answers of others.
        So what its prompts give is the same to the last bit, wherever and whenever the other units
        are answered.
        """
        order = [step.prompt for step in self.steps]
        return tuple(tuple(order[at : at + self.unit]) for at in range(0, len(order), self.unit))


def plan_prompts(
    prompts: Sequence[Int[Tensor, " _"] | Sequence[int]],
    *,
    share: bool = True,
    unit: int | None = None,
) -> Plan:
    """Order of prompts in which each continues from the longest prefix of the one before.

    No order computes fewer tokens than the lexicographic one: in it, two neighbours share as much
    as any prompt before them shares with any after it. Equal prompts keep their order. A prompt's
    last token is always read, as its row predicts the answer. The first prompt of a unit shares
    nothing.

    Args:
        prompts: Token ids.
        share: False: the order given, and nothing shared.
        unit: Prompts of a unit; None: `UNIT`.
    """
    unit = unit or UNIT
    tokens = [p.tolist() if isinstance(p, Tensor) else list(p) for p in prompts]
    order = sorted(range(len(tokens)), key=tokens.__getitem__) if share else range(len(tokens))
    steps = []
    before: list[int] = []
    for place, index in enumerate(order):
        continues = share and place % unit > 0
        n_shared = shared_prefix(before, tokens[index][:-1]) if continues else 0
        steps.append(Step(index, n_shared))
        before = tokens[index][:-1]
    return Plan(tuple(steps), sum(len(one) for one in tokens), unit)
