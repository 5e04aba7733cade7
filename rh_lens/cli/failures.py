"""What a user can cause, in one line."""

import os
import sys

# A message may name many things; the first tell what is wrong.
_LONGEST = 900


def explain(error: Exception) -> str | None:
    """What went wrong in one line; None for a mistake of this program, which shows its traceback.

    Args:
        error: What a command raised.
    """
    text = " ".join(str(error)[: 3 * _LONGEST].split())
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
    if isinstance(error, OSError) and error.errno is not None and not text.startswith("Expected"):
        return _system(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "Expected memory for this request; found too little. Ask for less at a time."
    if isinstance(error, RecursionError):
        return "Expected input that a program can read; found one nested too deeply. Flatten it."
    if isinstance(error, (ValueError, TypeError, OSError, ImportError, RuntimeError)):
        return text or f"{type(error).__name__}, without a message"
    return None


def end_quietly() -> int:
    """Leave when nobody reads the output any more, such as `head` after its last line."""
    # What is still to be flushed at exit would raise again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def _system(error: OSError) -> str:
    """An error of the operating system, with the path and what to do."""
    where = f" at {str(error.filename)[:200]!r}" if error.filename else ""
    reason = (error.strerror or type(error).__name__).lower()
    return (
        f"Expected a file or folder that can be used{where}; found: {reason}. "
        "Check the path, its permissions and the space that is left."
    )
