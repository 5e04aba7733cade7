"""Hooks made for one prompt under one condition, where its rows stand beside those of others."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.runtime.architecture import FwdHooks, architecture_of
from rh_lens.runtime.configuration import AttentionWindow
from rh_lens.runtime.context import Context

Part: TypeAlias = tuple[Any, ...]
"""Indices, slices and lists of places that pick a part of a tensor, as in `tensor[part]`."""

OVER_POSITIONS, OVER_KEYS = ("hook_z",), ("hook_pattern", "hook_attn_scores")
"""Endings of hook points whose axes are known: [row pos head d_head], [row head query key]."""

N_SAMPLE = 24
"""Tokens of a prompt that rows beside each other are tried out on; a shorter one is not worth it.
"""


def can_stand_beside(context: Context, conditions: Sequence[FwdHooks], n_tokens: int) -> bool:
    """Whether rows of several conditions may stand in one pass, as far as can be told untried.

    Args:
        context: How prompts are read.
        conditions: Hooks of each.
        n_tokens: Tokens of the prompt that it can be tried out on.
    """
    return len(conditions) > 1 and not beside_obstacle(context, conditions, n_tokens)


def beside_obstacle(context: Context, conditions: Sequence[FwdHooks], n_tokens: int) -> str:
    """Why rows of several answers may not stand in one pass; empty where nothing is known.

    They may not where a layer sees less than the whole context, where the model takes no positions,
    where a cache can't be cut back, and not with hooks, the conditions' or open ones, whose tensors
    can't be told apart by condition.

    Args:
        context: How prompts are read.
        conditions: Hooks of each.
        n_tokens: Tokens of the prompt that it can be tried out on.
    """
    model, strategy = context.model, context.strategy
    places = [place for hooks in conditions for place, _ in hooks]
    known = (*OVER_POSITIONS, *OVER_KEYS)
    windows = architecture_of(model).windows.values()
    obstacles = {
        f"prompts have fewer than {N_SAMPLE} tokens": n_tokens < N_SAMPLE,
        strategy.obstacle: not strategy.truncates,
        "the model can't be told the positions of its tokens": not strategy.takes_positions,
        "a layer sees less than the whole context": any(
            window != AttentionWindow() for window in windows
        ),
        "hooks act elsewhere than at heads": not all(
            isinstance(place, str) and place.endswith(known) for place in places
        ),
        "other hooks are open on the model": bool(model.list_hooks(dir="fwd")),
    }
    return next((reason for reason, stands in obstacles.items() if stands), "")


@dataclass(eq=False)
class OwnRows:
    """Whose rows are where in a pass; may be moved between two passes.

    Args:
        hooks: Hooks, as if there were no other rows.
        positions: The part of tensors without an axis for keys.
        keys: The part of attention scores and patterns.
        n_before: Keys at the start of a list of keys that are the first ones of all, in order.
    """

    hooks: FwdHooks
    positions: Part = ()
    keys: Part = ()
    n_before: int = 0
    _at: dict[Hashable, list[Callable[..., Any]]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for place, function in self.hooks:
            self._at.setdefault(place, []).append(function)

    def functions(self, place: Hashable) -> Sequence[Callable[..., Any]]:
        """The functions of the hooks at a place."""
        return self._at.get(place, ())


def hooks_on_rows(owners: Sequence[OwnRows]) -> list[tuple[Any, Callable[..., Any]]]:
    """Hooks that call those of each owner with its own part of a tensor.

    Args:
        owners: Who has rows; asked anew at each call, so that one that has ended may be taken out.
    """
    places = dict.fromkeys(place for owner in owners for place, _ in owner.hooks)
    return [(place, _RowHook(owners, place)) for place in places]


@dataclass(frozen=True, eq=False)
class _RowHook:
    """Hook at a place that calls those of every owner there, one after the other."""

    owners: Sequence[OwnRows]
    place: Hashable

    def __call__(self, tensor: Float[Tensor, "row ..."], hook: Any) -> Tensor | None:
        """The tensor with what the functions made of their parts; None if they left it alone."""
        over_keys = str(hook.name).endswith(OVER_KEYS)
        edited = None
        for owner in self.owners:
            part = owner.keys if over_keys else owner.positions
            for function in owner.functions(self.place):
                current = tensor if edited is None else edited
                own = _keys_of(current, part, owner.n_before) if over_keys else current[part]
                new = function(own, hook=hook)
                if new is not None:
                    # The tensor itself stays as it is: it may be a view that others read.
                    edited = tensor.clone() if edited is None else edited
                    edited[part] = new
        return edited


def _keys_of(tensor: Float[Tensor, "row head query key"], part: Part, n_before: int) -> Tensor:
    """A part of a pattern; slices are copied in less time than a list of keys."""
    if n_before == 0:
        return tensor[part]
    *rows, keys = part
    own = tensor[tuple(rows)]
    return torch.cat([own[..., :n_before], own[..., keys[n_before:]]], dim=-1)
