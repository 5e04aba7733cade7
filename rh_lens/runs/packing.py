"""`packing.json`: how many needles share a haystack in a run, once that has been checked.

The check of `choose_grid` answers prompts. Of one run it is made once: whoever goes on with the
run, and every shard, asks the prompts that were chosen then.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rh_lens.checks import require_type, shown
from rh_lens.files import read_plain_file, replacing, usable_path
from rh_lens.runs.run_key import key_differences, require_description

PACKING = "packing.json"
_MAX_BYTES = 1 << 24


def read_packing(folder: str | Path, key: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was chosen for the run of a folder; None where nothing was yet.

    Args:
        folder: The run folder, or the one of its shards.
        key: What the choice depends on, as JSON values.

    Raises:
        OSError: It can't be read.
        TypeError: An argument has the wrong type.
        ValueError: It was chosen for another run, or the file is damaged.
    """
    require_description("key", key)
    path = usable_path("folder", folder) / PACKING
    if not path.exists():
        return None
    try:
        content = json.loads(read_plain_file(path, at_most=_MAX_BYTES))
        before, choice = dict(content["key"]), dict(content["choice"])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(
            f"Expected the choice of packed needles in {shown(str(path), 300)}; found what can't "
            f"be read ({type(error).__name__}: {str(error)[:100]}). Remove the file: it is then "
            "made again."
        ) from error
    if differences := key_differences(before, json.loads(json.dumps(dict(key)))):
        raise ValueError(
            f"Expected the run of {shown(str(path.parent), 300)} to be this one; found that it "
            f"differs in {'; '.join(differences[:8])}. Name another folder."
        )
    return choice


def keep_packing(
    folder: str | Path, key: Mapping[str, Any], choice: Mapping[str, Any]
) -> dict[str, Any]:
    """Write down what was chosen; of several processes the first one's choice stays.

    Args:
        folder: Made if missing.
        key: What the choice depends on, as JSON values.
        choice: From `GridChoice.record`.

    Returns:
        The choice that stays.

    Raises:
        OSError: It can't be written.
        TypeError: An argument has the wrong type.
        ValueError: Another run's choice is there.
    """
    require_description("key", key)
    require_type("choice", choice, Mapping, remedy="Take a GridChoice's record().")
    require_description("choice", choice)
    folder = usable_path("folder", folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Written whole beside it, then linked: of two links to one name the second one fails.
    own = folder / f".{PACKING}.{os.getpid()}"
    with replacing(own) as temporary:
        text = json.dumps({"key": dict(key), "choice": dict(choice)}, indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")
    try:
        with suppress(FileExistsError):
            os.link(own, folder / PACKING)
    finally:
        own.unlink(missing_ok=True)
    kept = read_packing(folder, key)
    assert kept is not None
    return kept
