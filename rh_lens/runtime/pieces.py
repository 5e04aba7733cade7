"""Whether a pass that is under way may be a piece of a prompt."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_IN_PIECES: ContextVar[bool] = ContextVar("in_pieces", default=False)


@contextmanager
def reading_in_pieces() -> Iterator[None]:
    """Context of a pass behind a KV cache: its first row need not be the prompt's first."""
    outer = _IN_PIECES.set(True)
    try:
        yield
    finally:
        _IN_PIECES.reset(outer)


def in_pieces() -> bool:
    """Whether a hook is called in such a pass: the row's index is then no position."""
    return _IN_PIECES.get()
