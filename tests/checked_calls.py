"""Types and shapes are checked in the first calls of every function, where mistakes show.

Checks of all calls take as long as half of all that they check:
`python -m pytest --jaxtyping-packages=rh_lens,beartype.beartype` makes them.
"""

import inspect
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from beartype import beartype

N_CALLS = 100
N_CLOSURES = 10
_calls: Counter[str] = Counter()
_closures: Counter[str] = Counter()


def first_calls(function: Callable[..., Any]) -> Callable[..., Any]:
    """The type checker that jaxtyping is given: beartype, until there were enough calls.

    Args:
        function: What jaxtyping makes of a function of ours, once for its arguments and once for
            its result: of the same name, with its annotations, and without its body.
    """
    name = f"{function.__module__}:{function.__qualname__}"
    if "<locals>" in name:
        # A function in a function is a new one, and would be compiled anew, each time.
        _closures[name] += 1
        if _closures[name] > 2 * N_CLOSURES:
            return function
    checked: Callable[..., Any] | None = None

    def check(*arguments: Any, **options: Any) -> None:
        nonlocal checked
        # Compiled when it is called: most functions of a room are not, in most processes.
        checked = checked or beartype(function)
        checked(*arguments, **options)
        _calls[name] += 1
        if _calls[name] == 2 * N_CALLS:
            _check_no_more(name)

    return check


def _check_no_more(name: str) -> None:
    """Tell jaxtyping to leave a function alone: it asks for this mark at each call."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = inspect.getattr_static(found, part, None)
    found = getattr(found, "fget", found)
    found = getattr(found, "func", found)
    found = getattr(found, "__func__", found)
    while found is not None:
        found.__no_type_check__ = True
        found = getattr(found, "__wrapped__", None)
