"""Stopping when enough is known: prompts come in units, and each is followed by a statement."""

import random
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_choice
from rh_lens.detection.confidence import ConfidenceSequence
from rh_lens.detection.events import CopyEvents
from rh_lens.detection.result import NoAcceptedTrialsError, score_trials
from rh_lens.detection.scores import ScoreName
from rh_lens.detection.statement import Until, UntilStatement
from rh_lens.detection.trial_log import TrialWithEvents
from rh_lens.heads import Head
from rh_lens.prompts import NeedlePrompt, PackedPrompt

UNBOUNDED = ("event", "official")
"""Scores that may exceed 1, of which no bounds are known."""


def as_until(until: Any) -> Until | None:
    """What is to be known: "stable" is `Until()`, and None that all prompts are answered.

    Raises:
        TypeError: It is something else.
        ValueError: It is another text.
    """
    if until is None or isinstance(until, Until):
        return until
    if isinstance(until, str):
        require_choice("until", until, ("stable",), remedy='Or pass Until(goal="top", k=20).')
        return Until()
    raise TypeError(
        f'Expected until as "stable" or an Until; found {type(until).__name__}. Pass '
        'Until(goal="top", k=20), for example.'
    )


class Stopping:
    """Prompts in units of random order, and what is known after each.

    Where there are more needles than prompts of each, a unit is a needle with all its prompts, and
    the statement is about needles such as these: a sample of endless many. Otherwise a unit is a
    round, one prompt of each needle, and the statement is about these needles: what all prompts
    would say. Packed prompts come a turn at a time.

    Args:
        until: What is to be known.
        prompts: All prompts.
        score: Of the detection; one in [0, 1].
        threshold: Of the detection.
        shape: Layers, and heads in each.

    Raises:
        ValueError: The score may exceed 1.
    """

    def __init__(
        self,
        until: Until,
        prompts: Sequence[NeedlePrompt],
        score: ScoreName,
        threshold: float,
        shape: tuple[int, int],
    ) -> None:
        if score in UNBOUNDED:
            raise ValueError(
                f"Expected a score in [0, 1] to stop early by; found {score!r}, which may exceed "
                "1. Use another score, or leave until out."
            )
        self._until, self._prompts, self._score = until, prompts, score
        self._threshold, self._shape = threshold, shape
        self.unit, self.units = _units(prompts, until.seed)
        self._sequence = ConfidenceSequence(
            shape[0] * shape[1],
            n_most=max(map(len, self.units)),
            n_units=len(self.units) if self.unit == "round" else None,
            threshold=threshold,
            level=until.level,
        )
        self._n_answered = 0
        self.statement = self._state()

    def add(self, trials: Mapping[int, TrialWithEvents]) -> bool:
        """Take a unit's trials into account; whether all that was to be known is known now."""
        in_order = [trials[index] for index in sorted(trials)]
        events = CopyEvents.join(table for _, table in in_order)
        try:
            values = score_trials(self._score, events, [trial for trial, _ in in_order]).values
        except NoAcceptedTrialsError:
            values = torch.empty(0, *self._shape, dtype=torch.float64)
        values = values.flatten(start_dim=1)
        self._sequence.add(values.nan_to_num().sum(dim=0), (~values.isnan()).double().sum(dim=0))
        self._n_answered += len(in_order)
        self.statement = self._state()
        return self.statement.holds

    def _state(self) -> UntilStatement:
        bounds = self._sequence.bounds()
        undecided = {
            "heads": ~(bounds.above | bounds.below),
            "top": _undecided_top(bounds.low, bounds.high, self._until.k),
            "scores": ~(bounds.high - bounds.low <= 2 * self._until.within),
        }[self._until.goal]
        # A head that saw no needle yet has no score to be known.
        if self._sequence.n_seen:
            undecided = undecided & ~bounds.low.isnan()
        places = undecided.reshape(self._shape).nonzero().tolist()
        return UntilStatement(
            until=self._until,
            threshold=self._threshold,
            unit=self.unit,
            n_units=self._sequence.n_seen,
            of=len(self.units),
            n_answered=self._n_answered,
            n_prompts=len(self._prompts),
            n_needles=len({prompt.needle.name for prompt in self._prompts}),
            undecided=tuple(Head(*place) for place in places),
            low=bounds.low.reshape(self._shape),
            high=bounds.high.reshape(self._shape),
        )


def _undecided_top(low: Float[Tensor, " head"], high: Float[Tensor, " head"], k: int) -> Tensor:
    """Heads of which it is not known whether they are among the k best.

    One is among them if fewer than k others may be better, and is not if k others surely are.
    """
    maybe_better = (high[None] > low[:, None]).fill_diagonal_(False).sum(dim=1)
    surely_better = (low[None] >= high[:, None]).fill_diagonal_(False).sum(dim=1)
    return (maybe_better >= k) & (surely_better < k)


def _units(
    prompts: Sequence[NeedlePrompt], seed: int
) -> tuple[Literal["round", "needle"], list[list[int]]]:
    """Indices of the prompts of each unit, in random order."""
    strata: dict[frozenset[str], dict[Any, list[int]]] = {}
    for index, prompt in enumerate(prompts):
        own = {prompt.needle.name}
        block: Any = index
        if isinstance(prompt, PackedPrompt):
            own |= {*prompt.companions}
            block = prompt.context_length, prompt.turn
        strata.setdefault(frozenset(own), {}).setdefault(block, []).append(index)
    generator = random.Random(seed)
    blocks = [list(of.values()) for of in strata.values()]
    n_rounds = max(map(len, blocks))
    if len(blocks) > n_rounds:
        generator.shuffle(blocks)
        return "needle", [[index for block in of for index in block] for of in blocks]
    for of in blocks:
        # Needles with fewer prompts have none in some rounds, in random ones.
        of += [[] for _ in range(n_rounds - len(of))]
        generator.shuffle(of)
    rounds = [[index for of in blocks for index in of[at]] for at in range(n_rounds)]
    return "round", rounds
