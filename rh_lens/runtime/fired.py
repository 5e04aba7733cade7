"""Hooks that must not stay silent."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from rh_lens.runtime.bridge import FwdHooks
from rh_lens.runtime.condition import Condition


@contextmanager
def must_fire(hooks: FwdHooks) -> Iterator[FwdHooks]:
    """Context whose hooks do what `hooks` do, and must each have been called before it ends.

        with must_fire(zero_ablation(heads)) as hooks, model.hooks(fwd_hooks=hooks):
            ...

    Raises:
        RuntimeError: On leaving without another error: a hook was never called.
    """
    silent = {place: name for place, (name, _) in enumerate(hooks)}

    def noted(place: int, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(tensor: Any, hook: Any) -> Any:
            silent.pop(place, None)
            return function(tensor, hook=hook)

        return call

    yield [(name, noted(place, function)) for place, (name, function) in enumerate(hooks)]
    if silent:
        raise RuntimeError(
            f"Expected every hook to be called; found {len(silent)} of {len(hooks)} silent, at "
            f"{list(silent.values())[:4]}: the intervention did not take place. Check that the "
            "model has these layers, that it ran, and that nothing reset its hooks meanwhile."
        )


@contextmanager
def conditions_must_fire(conditions: Mapping[str, Condition]) -> Iterator[dict[str, Condition]]:
    """Context with the same conditions, by name, whose hooks are watched by `must_fire`.

    Raises:
        RuntimeError: As `must_fire`.
    """
    with ExitStack() as stack:
        yield {
            name: Condition(stack.enter_context(must_fire(condition.hooks)), condition.scope)
            for name, condition in conditions.items()
        }
