"""Dealing the prompts of one run out to several processes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime import plan_prompts

FOLDERS = "shard-*-of-*"
"""Names of the run folders of shards, as a pattern."""


@dataclass(frozen=True)
class Shard:
    """One of several parts of a run.

    Args:
        number: Which part, from 1.
        of: Number of parts.

    Raises:
        ValueError: There is no such part.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ValueError(
                f"Expected a shard from 1/{self.of} to {self.of}/{self.of}; found "
                f"{self.number}/{self.of}. Shards count from 1."
            )

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """The shard named by a text such as "2/8".

        Raises:
            ValueError: The text names none.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if match is None:
            raise ValueError(f"Expected a shard such as 2/8; found {text!r}. Write number/total.")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def folder(self) -> str:
        """Name of its run folder, such as "shard-2-of-8"."""
        return f"shard-{self.number}-of-{self.of}"

    def prompts(self, prompts: Sequence[NeedlePrompt]) -> tuple[int, ...]:
        """Indices of its prompts; see `deal_prompts`."""
        return deal_prompts(prompts, self.of)[self.number - 1]


def deal_prompts(prompts: Sequence[NeedlePrompt], n_shards: int) -> tuple[tuple[int, ...], ...]:
    """Indices of prompts for each of some shards: every prompt once, with about equal work.

    Units of the plan (`rh_lens.runtime.Plan.units`) stay whole, as their prompts share what is
    read; the largest goes first, each to the shard with the fewest tokens to read. With fewer
    units than shards, some shards have nothing to do.

    Args:
        prompts: All prompts of the run.
        n_shards: Number of shards.

    Raises:
        ValueError: `n_shards` is below 1.
    """
    if n_shards < 1:
        raise ValueError(f"Expected one shard or more; found {n_shards}. Ask for at least one.")
    plan = plan_prompts([prompt.tokens for prompt in prompts])
    costs = {step.prompt: len(prompts[step.prompt].tokens) - step.n_shared for step in plan.steps}
    units = [(sum(costs[index] for index in unit), unit) for unit in plan.units]
    loads = [0] * n_shards
    dealt: list[list[int]] = [[] for _ in range(n_shards)]
    for cost, unit in sorted(units, key=lambda one: -one[0]):
        least = loads.index(min(loads))
        loads[least] += cost
        dealt[least] += unit
    return tuple(tuple(sorted(indices)) for indices in dealt)
