"""Dealing the prompts of one run out to several processes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rh_lens.checks import require_text, require_whole_number, shown
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.runtime import context_ends, plan, plan_prompts

FOLDERS = "shard-*-of-*"
"""Names of the run folders of shards, as a pattern."""

MAX_SHARDS = 1 << 16
"""More processes than any machine room starts; dealing takes time and memory for each."""


@dataclass(frozen=True)
class Shard:
    """One of several parts of a run.

    Args:
        number: Which part, from 1.
        of: Number of parts.

    Raises:
        TypeError: A number is no whole one.
        ValueError: There is no such part, or there are over 65,536.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        require_whole_number("number", self.number)
        require_whole_number("of", self.of)
        if self.of > MAX_SHARDS:
            raise ValueError(
                f"Expected {MAX_SHARDS:,} shards or fewer; found {_readable(self.of)}. Each is a "
                "process that loads the model: ask for as many as you start."
            )
        if not 1 <= self.number <= self.of:
            raise ValueError(
                f"Expected a shard from 1/{self.of} to {self.of}/{self.of}; found number "
                f"{shown(self.number)} of {self.of}. Shards count from 1: for a job array that "
                "begins at 0, add 1 to its number."
            )

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """The shard named by a text such as "2/8".

        Raises:
            TypeError: It is no text.
            ValueError: The text names none.
        """
        require_text("text", text, blank=True)
        match = re.fullmatch(r"([0-9]{1,12})/([0-9]{1,12})", text)
        if match is None:
            raise ValueError(
                f"Expected a shard such as 2/8; found {text[:40]!r}. Write number/total."
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def folder(self) -> str:
        """Name of its run folder, such as "shard-2-of-8"."""
        return f"shard-{self.number}-of-{self.of}"

    def prompts(self, prompts: Sequence[NeedlePrompt]) -> tuple[int, ...]:
        """Indices of its prompts; see `deal_prompts`.

        Raises:
            TypeError: It is no list of prompts.
        """
        return deal_prompts(prompts, self.of)[self.number - 1]


def unit_for(n_prompts: int, n_shards: int) -> int | None:
    """Prompts of a unit, so that every shard has some; None: as many as in a run of one process.

    With smaller units, prompts are read in other pieces than by one process: tokens are the same,
    and attention weights may differ from its in the last bits.

    Args:
        n_prompts: All prompts of the run.
        n_shards: Number of shards.
    """
    if -(-n_prompts // plan.UNIT) >= n_shards:
        return None
    # Two a shard: units differ in their tokens, and with one each nothing could even that out.
    return max(1, n_prompts // (2 * n_shards))


def _readable(number: int) -> str:
    return f"{number:,}" if abs(number) < 10**12 else shown(number)


def deal_prompts(prompts: Sequence[NeedlePrompt], n_shards: int) -> tuple[tuple[int, ...], ...]:
    """Indices of prompts for each of some shards: every prompt once, with about equal work.

    Units of the plan (`rh_lens.runtime.Plan.units`) stay whole, as their prompts share what is
    read; the largest goes first, each to the shard with the fewest tokens to read. Where there
    would be fewer units than shards, units are smaller (`unit_for`). With fewer prompts than
    shards, some shards have nothing to do.

    Args:
        prompts: All prompts of the run.
        n_shards: Number of shards.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `n_shards` is below 1 or above 65,536.

    Examples:
        >>> [len(part) for part in deal_prompts(prompts, n_shards=2)]
        [4, 4]
    """
    require_whole_number("n_shards", n_shards)
    prompts = require_prompts(prompts, at_least=0)
    if not 1 <= n_shards <= MAX_SHARDS:
        raise ValueError(
            f"Expected 1 to {MAX_SHARDS:,} shards; found {_readable(n_shards)}. Ask for as many as "
            "there are processes."
        )
    unit = unit_for(len(prompts), n_shards)
    tokens = [prompt.tokens for prompt in prompts]
    order = plan_prompts(tokens, unit=unit, contexts=context_ends(prompts))
    costs = {step.prompt: len(prompts[step.prompt].tokens) - step.n_shared for step in order.steps}
    units = [(sum(costs[index] for index in one), one) for one in order.units]
    loads = [0] * n_shards
    dealt: list[list[int]] = [[] for _ in range(n_shards)]
    for cost, indices in sorted(units, key=lambda one: -one[0]):
        least = loads.index(min(loads))
        loads[least] += cost
        dealt[least] += indices
    return tuple(tuple(sorted(indices)) for indices in dealt)
