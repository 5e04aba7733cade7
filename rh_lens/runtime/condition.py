"""Conditions: hooks, and the part of a run in which they act."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from rh_lens.checks import require_choice
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
        ValueError: The scope is unknown.
    """

    hooks: FwdHooks = ()
    scope: Scope = "both"

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_choice("scope", self.scope, get_args(Scope))

    @property
    def prefill_hooks(self) -> FwdHooks:
        """Hooks that are on while the prompt is read."""
        return () if self.scope == "decode" else self.hooks

    @property
    def decode_hooks(self) -> FwdHooks:
        """Hooks that are on in the decoding passes."""
        return () if self.scope == "prefill" else self.hooks
