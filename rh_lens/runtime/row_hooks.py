"""Hooks made for one prompt alone, on rows that stand beside those of others."""

from collections.abc import Callable
from typing import Any, TypeAlias

from torch import Tensor

from rh_lens.runtime.architecture import FwdHooks

Part: TypeAlias = tuple[Any, ...]
"""Indices, slices and lists of places that pick a part of a tensor, as in `tensor[part]`."""

OVER_POSITIONS, OVER_KEYS = ("hook_z",), ("hook_pattern", "hook_attn_scores")
"""Endings of hook points whose axes are known: [row pos head d_head], [row head query key]."""


def on_part(
    hooks: FwdHooks, *, positions: Part, keys: Part, is_open: Callable[[], bool] = lambda: True
) -> list[tuple[Any, Callable[..., Any]]]:
    """Hooks that are called with a part of each tensor, as if there were no other rows.

    Args:
        hooks: Hooks, as if their rows were alone.
        positions: The part of tensors without an axis for keys.
        keys: The part of attention scores and patterns.
        is_open: Whether they are to be called at all, asked each time.
    """

    def of_part(function: Callable[..., Any]) -> Callable[..., Any]:
        def hooked(tensor: Tensor, hook: Any) -> Tensor | None:
            if not is_open():
                return None
            part = keys if str(hook.name).endswith(OVER_KEYS) else positions
            edited = function(tensor[part], hook=hook)
            if edited is None:
                return None
            # The tensor may be a view that others read: theirs must stay as it is.
            whole = tensor.clone()
            whole[part] = edited
            return whole

        return hooked

    return [(name, of_part(function)) for name, function in hooks]
