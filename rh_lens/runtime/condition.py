"""Conditions: hooks, and the part of a run in which they act."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from rh_lens.checks import found_as, require_choice, require_list
from rh_lens.representation import short_repr
from rh_lens.runtime.bridge import FwdHooks

Scope: TypeAlias = Literal["prefill", "decode", "both"]


@dataclass(frozen=True)
class Condition:
    """Forward hooks and their scope.

    Args:
        hooks: For `model.hooks(fwd_hooks=...)`; none is the untouched model.
        scope: "prefill": while the prompt is read, without its last token. "decode": from the
            prompt's last token on, whose row predicts the answer's first. "both": all along.

    Raises:
        TypeError: The hooks are no list of pairs of a hook name and a function.
        ValueError: The scope is unknown.
    """

    hooks: FwdHooks = ()
    scope: Scope = "both"

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_choice("scope", self.scope, get_args(Scope))
        require_hooks("hooks of a condition", self.hooks)

    @property
    def prefill_hooks(self) -> FwdHooks:
        """Hooks that are on while the prompt is read."""
        return () if self.scope == "decode" else self.hooks

    @property
    def decode_hooks(self) -> FwdHooks:
        """Hooks that are on in the decoding passes."""
        return () if self.scope == "prefill" else self.hooks


def require_hooks(name: str, hooks: object) -> None:
    """Refuse what are no forward hooks: a list of (hook name, function) pairs.

    Args:
        name: What the caller knows them as.
        hooks: What was given.

    Raises:
        TypeError: It is something else.
    """
    remedy = "Pass [(hook name, function), ...], as zero_ablation(heads) makes them."
    for pair in require_list(name, hooks, (tuple, list), remedy=remedy):
        is_pair = len(pair) == 2 and callable(pair[1])
        if not is_pair or not (isinstance(pair[0], str) or callable(pair[0])):
            raise TypeError(
                f"Expected {name} to be pairs of a hook name and a function; found "
                f"{found_as(pair)}. {remedy}"
            )
