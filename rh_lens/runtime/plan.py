"""The order of prompts that reuses most of what was read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from numbers import Integral

from jaxtyping import Int
from torch import Tensor

from rh_lens.checks import require_flag, require_list, require_whole_number
from rh_lens.prompts import AnyPrompt, DocumentPrompt, NeedlePrompt, PackedPrompt
from rh_lens.representation import short_repr
from rh_lens.runtime.context import shared_prefix

_REMEDY = "Pass token ids, a list or a tensor for each prompt."

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
        turns: Indices of the prompts in the order of the plan, those that share a context together;
            empty where none do.
    """

    steps: tuple[Step, ...]
    n_tokens: int
    unit: int
    turns: tuple[tuple[int, ...], ...] = ()

    __repr__ = short_repr

    @property
    def n_computed(self) -> int:
        """Tokens that are read, those at the start of a prompt that are in the cache left out."""
        return self.n_tokens - sum(step.n_shared for step in self.steps)

    @property
    def units(self) -> tuple[tuple[int, ...], ...]:
        """Indices of the prompts in the order of the plan, by units.

        A unit begins with an empty cache, and nothing that was learned about the answers of others.
        So what its prompts give is the same to the last bit, wherever and whenever the other units
        are answered. It has `unit` prompts, or fewer where a turn would be cut in two; a turn that
        is longer is a unit of its own.
        """
        return tuple(tuple(chain.from_iterable(unit)) for unit in self.units_of_turns)

    @property
    def units_of_turns(self) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """The units, each as the turns that it consists of."""
        turns = self.turns or tuple((step.prompt,) for step in self.steps)
        return tuple(tuple(unit) for unit in _units(turns, self.unit))


def plan_prompts(
    prompts: Sequence[Int[Tensor, " _"] | Sequence[int]],
    *,
    share: bool = True,
    unit: int | None = None,
    contexts: Sequence[int] = (),
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
        contexts: For each prompt, how many tokens come before its question; 0 where that is
            unknown. Prompts that are alike so far are a turn. None given: every prompt is one.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A unit has no prompt, or there are more or fewer contexts than prompts.

    Examples:
        >>> plan = plan_prompts([one.tokens for one in prompts])
        >>> plan.n_tokens, plan.n_computed
        (1024, 801)
    """
    require_flag("share", share)
    if unit is not None:
        require_whole_number("unit", unit, at_least=1)
    unit = unit or UNIT
    prompts = require_list("prompts", prompts, (Tensor, list, tuple), remedy=_REMEDY)
    tokens = [_token_ids(prompt) for prompt in prompts]
    contexts = require_list("contexts", contexts, Integral, remedy="Pass a number for each prompt.")
    if contexts and len(contexts) != len(tokens):
        raise ValueError(
            f"Expected contexts for each of the {len(tokens)} prompts; found {len(contexts)}. Pass "
            "a number for each, or none."
        )
    order = sorted(range(len(tokens)), key=tokens.__getitem__) if share else range(len(tokens))
    turns = _turns(tokens, order, contexts if share else ())
    steps = []
    for unit_turns in _units(turns, unit):
        before: list[int] = []
        for index in chain.from_iterable(unit_turns):
            n_shared = shared_prefix(before, tokens[index][:-1]) if share else 0
            steps.append(Step(index, n_shared))
            before = tokens[index][:-1]
    several = turns if len(turns) < len(steps) else ()
    return Plan(tuple(steps), sum(len(one) for one in tokens), unit, several)


def context_ends(prompts: Iterable[AnyPrompt]) -> list[int]:
    """Tokens before each prompt's question, where others may share them; 0 of other prompts.

    Raises:
        TypeError: It is no list of prompts.

    Examples:
        >>> context_ends(prompts[:2])
        [0, 0]
    """
    remedy = "Make a list with build_grid or build_packed_grid."
    prompts = require_list("prompts", prompts, (NeedlePrompt, DocumentPrompt), remedy=remedy)
    return [one.n_context if isinstance(one, PackedPrompt) else 0 for one in prompts]


def _token_ids(prompt: Int[Tensor, " _"] | Sequence[int]) -> list[int]:
    """One prompt's token ids as a list."""
    tokens: list[int] = prompt.tolist() if isinstance(prompt, Tensor) else list(prompt)
    wrong = [kind.__name__ for kind in {*map(type, tokens)} if not issubclass(kind, Integral)]
    if wrong:
        raise TypeError(f"Expected prompts of token ids; found {', '.join(wrong)}. {_REMEDY}")
    return tokens


def _turns(
    tokens: Sequence[list[int]], order: Iterable[int], contexts: Sequence[int]
) -> tuple[tuple[int, ...], ...]:
    """Prompts in order, those with one context together."""
    turns: list[list[int]] = []
    before: list[int] | None = None
    for index in order:
        n_context = contexts[index] if contexts else 0
        context = tokens[index][:n_context] if 0 < n_context < len(tokens[index]) else None
        if turns and context is not None and context == before:
            turns[-1].append(index)
        else:
            turns.append([index])
        before = context
    return tuple(map(tuple, turns))


def _units(turns: Iterable[tuple[int, ...]], unit: int) -> list[list[tuple[int, ...]]]:
    """Turns in runs of no more than `unit` prompts, or of one turn."""
    units: list[list[tuple[int, ...]]] = []
    n_prompts = 0
    for turn in turns:
        if not units or n_prompts + len(turn) > unit:
            units.append([])
            n_prompts = 0
        units[-1].append(turn)
        n_prompts += len(turn)
    return units
