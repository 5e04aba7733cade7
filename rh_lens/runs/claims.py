"""Claims with their figures in a file: what one command finds, another puts on a page."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from rh_lens.checks import require_list, shown
from rh_lens.evaluation import Claim
from rh_lens.files import read_bytes, replacing, usable_path

CLAIMS = "claims.json"
"""Name of the file in a run folder."""

_NAMES = frozenset(field.name for field in fields(Claim))
# Numbers that JSON has no words for.
_WORDS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def save_claims(claims: Iterable[Claim], path: str | Path) -> Path:
    """Write claims to a JSON file; one that is there is replaced.

    Each keeps what its verdict rests on (interval and region, or p-values); the verdict itself is
    written for other readers, and made anew by `load_claims`.

    Args:
        claims: In the order in which they are to be shown.
        path: The file, usually `claims.json` in a run folder.

    Returns:
        The path.

    Raises:
        OSError: It can't be written.
        TypeError: Something else than a claim is among them, or the path is none.
        ValueError: The path is empty or holds a zero byte.

    Examples:
        >>> save_claims(claims_of_scores(result), "claims.json").name
        'claims.json'
    """
    entries = [_record(one) for one in require_list("claims", claims, Claim)]
    found = usable_path("path", path)
    if found.is_dir():
        raise IsADirectoryError(
            f"Expected path to be a file; found the directory {shown(str(found), 200)}. "
            f"Name a file in it, such as {CLAIMS}."
        )
    with replacing(found) as temporary:
        text = json.dumps({"claims": entries}, indent=1, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return found


def load_claims(path: str | Path) -> list[Claim]:
    """The claims of a file that `save_claims` wrote.

    Raises:
        OSError: It can't be read.
        TypeError: The path is none.
        ValueError: It is no such file; the message names the claim that can't be read.

    Examples:
        >>> path = save_claims(claims_of_scores(result), "claims.json")
        >>> [claim.name for claim in load_claims(path)][:2]
        ['universal', 'sparse']
    """
    found = usable_path("path", path)
    try:
        entries = json.loads(read_bytes(found))["claims"]
        return [_claim(entry) for entry in entries]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"Expected path to be a file of save_claims; found {shown(str(found), 200)}, which "
            f"can't be read as one ({reason[:200]}). Make it anew with the command that wrote it."
        ) from None


def _record(claim: Claim) -> dict[str, Any]:
    values = asdict(claim) | {"verdict": claim.verdict}
    return {name: _written(value) for name, value in values.items()}


def _written(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_written(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _claim(entry: dict[str, Any]) -> Claim:
    texts = {"name", "statement", "paper", "place", "what", "command", "against", "unit"}
    values = {
        name: value if name in texts else _read(value)
        for name, value in entry.items()
        if name in _NAMES
    }
    return Claim(**values)


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_read(one) for one in value)
    return _WORDS.get(value, value) if isinstance(value, str) else value
