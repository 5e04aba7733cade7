"""SIGTERM, with which schedulers end a job, taken as Ctrl-C is: what there is, is kept."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class TerminatedError(KeyboardInterrupt):
    """The process was asked to end by SIGTERM."""


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Context in which SIGTERM raises `TerminatedError`, where nobody else handles it."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    raise TerminatedError
