"""Running a model without the hooks that somebody holds open on it."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rh_lens.runtime.bridge import Bridge


@contextmanager
def without_hooks(model: Bridge) -> Iterator[None]:
    """Context in which no forward hook that is open now is called; hooks opened inside are."""
    points = list({id(point): point for point in model.hook_dict.values()}.values())
    stashed: list[tuple[Any, Any]] = [(point, point._forward_hooks) for point in points]
    try:
        for point in points:
            point._forward_hooks = OrderedDict()
        yield
    finally:
        for point, hooks in stashed:
            point._forward_hooks = hooks
