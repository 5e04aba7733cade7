"""Where the trials of a detection are kept as they end."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

import pandas as pd

from rh_lens.detection.trial import Trial

TrialWithEvents: TypeAlias = tuple[Trial, pd.DataFrame]
"""A trial and its copy-paste events."""


@runtime_checkable
class TrialLog(Protocol):
    """What is asked of a detection, and what has come of it so far.

    `RunFolder` is one on disk, `MemoryLog` one in memory.
    """

    @property
    def done(self) -> Mapping[int, TrialWithEvents]:
        """Trials that have ended, with their events, by the index of their prompt."""

    @property
    def missing(self) -> Collection[int]:
        """Indices of the prompts to answer."""

    def start(self, index: int) -> object:
        """Called with a prompt's index right before it is answered."""

    def add(self, trial: Trial, events: pd.DataFrame) -> object:
        """Called with each new trial and its events as it ends, in the order of reading."""


@dataclass(eq=False)
class MemoryLog:
    """Trials kept in memory, so that a detection can be interrupted, or answer some prompts only.

        log = MemoryLog(range(len(prompts)))
        result = detect_retrieval_heads(model, prompts, log=log)

    Args:
        wanted: Indices of the prompts to answer.
        done: Trials that have ended, with their events, by the index of their prompt.
    """

    wanted: Collection[int]
    done: dict[int, TrialWithEvents] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"MemoryLog({len(self.done)} prompts done, {len(self.missing)} missing)"

    @property
    def missing(self) -> list[int]:
        """Indices of the prompts to answer that are not done."""
        return [index for index in self.wanted if index not in self.done]

    def start(self, index: int) -> None:
        """Nothing is noted before a trial has ended."""

    def add(self, trial: Trial, events: pd.DataFrame) -> None:
        """Keep a trial and its events."""
        self.done[trial.index] = trial, events
