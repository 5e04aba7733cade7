"""A detection under the clock: what it had found after each turn, and when."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

import pandas as pd

from rh_lens.bench.methods import Bench
from rh_lens.detection import (
    MemoryLog,
    RetrievalResult,
    RetrievalScores,
    Trial,
    detect_retrieval_heads,
)
from rh_lens.prompts import NeedlePrompt, PackedPrompt
from rh_lens.runtime import StopRule


@dataclass(frozen=True, eq=False)
class ClockedRun:
    """A detection and its times.

    Args:
        result: What it found.
        seconds: Time of all of it.
        turns: Indices of the prompts that were answered together, in the order of answering.
        ends: Time from the beginning to the end of each turn.
    """

    result: RetrievalResult
    seconds: float
    turns: tuple[tuple[int, ...], ...]
    ends: tuple[float, ...]

    def scores(self, n_turns: int) -> RetrievalScores | None:
        """Scores of the first turns; None where no prompt of theirs was accepted."""
        scores = self.result.scores
        asked = {index for turn in self.turns[:n_turns] for index in turn}
        rows = [row for row, trial in enumerate(scores.trials) if trial in asked]
        if not rows:
            return None
        trials = tuple(scores.trials[row] for row in rows)
        return RetrievalScores(scores.values[rows], scores.name, trials)


@dataclass(eq=False)
class _Clock(MemoryLog):
    """A log that notes when each trial ends, in the order of answering."""

    ends: dict[int, float] = field(default_factory=dict)

    def add(self, trial: Trial, events: pd.DataFrame) -> None:
        super().add(trial, events)
        self.ends[trial.index] = time.perf_counter()


def clocked_run(
    bench: Bench, prompts: Sequence[NeedlePrompt], *, until: Literal["stable"] | None = None
) -> ClockedRun:
    """Detection on a bench's model, with answers as long as its `generate` makes them.

    Args:
        bench: The model.
        prompts: What to ask.
        until: When to stop: see `detect_retrieval_heads`.
    """
    log, began = _Clock(range(len(prompts))), time.perf_counter()
    result = detect_retrieval_heads(
        bench.bridge,
        prompts,
        log=log,
        until=until,
        max_new_tokens=bench.max_new_tokens,
        stop=StopRule(frozenset() if bench.eos is None else frozenset({bench.eos})),
        progress=False,
    )
    seconds = time.perf_counter() - began
    turns = [tuple(of) for _, of in groupby(log.ends, lambda index: _turn(prompts, index))]
    ends = tuple(log.ends[turn[-1]] - began for turn in turns)
    return ClockedRun(result, seconds, tuple(turns), ends)


def _turn(prompts: Sequence[NeedlePrompt], index: int) -> tuple[int, int]:
    """What a prompt has in common with those of its turn only."""
    prompt = prompts[index]
    if isinstance(prompt, PackedPrompt):
        return prompt.context_length, prompt.turn
    return -1, index
