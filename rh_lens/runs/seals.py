"""Lines of JSON that end with a hash of their own, and name the run that they are of."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_SEAL = b', "sha256": "'


def seal(values: Mapping[str, Any], run: str) -> bytes:
    """A line, without its end, of these JSON values."""
    text = json.dumps({**values, "run": run}, ensure_ascii=False).encode()
    return text[:-1] + _SEAL + line_sha256(text).encode() + b'"}'


def unseal(line: bytes, run: str | None) -> dict[str, Any] | None:
    """The values of a line; None if it is not as it was sealed.

    Args:
        line: From `seal`, whatever has happened to it.
        run: The run that it must be of; None: any.
    """
    text, _, found = line.rpartition(_SEAL)
    text += b"}"
    if found != line_sha256(text).encode() + b'"}':
        return None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return values if values.pop("run", None) == run or run is None else None


def line_sha256(line: bytes) -> str:
    """Hexadecimal SHA-256 of a line without its end."""
    return hashlib.sha256(line).hexdigest()
