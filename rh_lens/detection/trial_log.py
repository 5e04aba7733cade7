"""Where the trials of a detection are kept as they end."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Protocol, TypeAlias, runtime_checkable

import pandas as pd

from rh_lens.checks import require_list, require_type, require_whole_number
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

    Raises:
        TypeError: They are no indices, or no trials by their index.
        ValueError: An index is negative.
    """

    wanted: Collection[int]
    done: dict[int, TrialWithEvents] = field(default_factory=dict)

    def __post_init__(self) -> None:
        remedy = "Pass the indices of prompts, such as range(len(prompts))."
        for index in require_list("wanted", self.wanted, Integral, remedy=remedy):
            require_whole_number("wanted", index, at_least=0)
        require_type("done", self.done, dict, remedy="Pass log.done of another one.")

    def __repr__(self) -> str:
        return f"MemoryLog({len(self.done)} prompts done, {len(self.missing)} missing)"

    @property
    def missing(self) -> list[int]:
        """Indices of the prompts to answer that are not done."""
        return [index for index in self.wanted if index not in self.done]

    def start(self, index: int) -> None:
        """Nothing is noted before a trial has ended.

        Raises:
            TypeError: The index is no whole number.
            ValueError: It is negative.
        """
        require_whole_number("index", index, at_least=0)

    def add(self, trial: Trial, events: pd.DataFrame) -> None:
        """Keep a trial and its events.

        Raises:
            TypeError: They are something else.
        """
        require_type("trial", trial, Trial, remedy="Take one of result.trials.")
        require_type("events", events, pd.DataFrame, remedy="Take it from find_copy_events.")
        self.done[trial.index] = trial, events
