"""Refusing what no answer can be asked for with, before anything is read."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from rh_lens.checks import (
    found_as,
    require_flag,
    require_text,
    require_type,
    require_whole_number,
)
from rh_lens.runtime.bridge import FwdHooks
from rh_lens.runtime.condition import Condition
from rh_lens.runtime.execution import DEFAULT_EXECUTION, Execution
from rh_lens.runtime.stop import StopRule

ConditionLike: TypeAlias = Condition | FwdHooks
"""A condition, or its hooks alone, which then act all along."""


def require_answering(
    *,
    max_new_tokens: Any = None,
    stop: Any = None,
    execution: Any = DEFAULT_EXECUTION,
    progress: Any = True,
) -> None:
    """Refuse choices of how prompts are answered that are none.

    Args:
        max_new_tokens: Longest answer, in tokens; None is one left open.
        stop: What ends an answer earlier; None is one left open.
        execution: How prompts are read and answers decoded.
        progress: Whether to show a progress bar.

    Raises:
        TypeError: An argument is of another type.
        ValueError: One is out of range.
    """
    if max_new_tokens is not None:
        require_whole_number(
            "max_new_tokens", max_new_tokens, at_least=1, remedy="Give the answer some room."
        )
    if stop is not None:
        require_type("stop", stop, StopRule, remedy="Make one with stop_rule(tokenizer).")
    remedy = "Make one such as Execution(batch_size=8)."
    require_type("execution", execution, Execution, remedy=remedy)
    require_flag("progress", progress)


def as_conditions(conditions: Any) -> dict[str, Condition]:
    """Conditions by name; hooks alone are one that acts all along.

    Args:
        conditions: A mapping of names to `ConditionLike`.

    Raises:
        TypeError: It is no mapping, a name is no text, or a value is neither condition nor hooks.
        ValueError: There is none.
    """
    if not isinstance(conditions, Mapping):
        raise TypeError(
            f"Expected conditions as a mapping of names to Condition or hooks; found "
            f'{found_as(conditions)}. Pass {{"plain": Condition(), ...}}.'
        )
    if not conditions:
        raise ValueError(
            'Expected at least one condition; found none. Pass {"plain": Condition(), ...}.'
        )
    for name in conditions:
        require_text("the name of a condition", name, blank=True)
    return {
        name: value if isinstance(value, Condition) else Condition(value)
        for name, value in conditions.items()
    }
