"""`run.json`: what a run is, and how far it has come."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from rh_lens.detection import Trial
from rh_lens.files import write_json
from rh_lens.runs.log import HEADS, TRIALS, DamagedRunError
from rh_lens.runs.result_tables import OUTPUTS, output_hashes
from rh_lens.runs.shards import Shard

RUN = "run.json"
RUN_FILES = (RUN, TRIALS, HEADS, *OUTPUTS)
"""Names of a run folder's files."""
FORMAT = 2
"""Of run folders. 1 had no such number, and a key without answers and with a part of the weights.
"""
Status: TypeAlias = Literal["running", "stopped", "failed", "merging", "partial", "finished"]
STATUSES = get_args(Status)
OVER = ("finished", "partial")
"""Status of a run whose log ends with a whole trial: answered, or merged from parts."""
_PROGRESS = ("status", "error", "accounting", "files", "sessions", "merged")


def read_description(folder: Path) -> dict[str, Any]:
    """The content of a folder's `run.json`.

    Raises:
        DamagedRunError: It can't be read, or does not say what a run's says.
        ValueError: It tells of something else than trials, or is of a later format.
    """
    try:
        if (folder / RUN).is_fifo():  # which would be waited for
            raise OSError("a pipe")
        description = dict(json.loads((folder / RUN).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        problem = f"{RUN} can't be read ({type(error).__name__}: {str(error)[:200]})"
        raise DamagedRunError(folder, (problem,)) from error
    if "key" not in description:
        raise ValueError(
            f"Expected a run of rh-lens detect in {str(folder)!r}; found one of "
            f"{description.get('command')!r}, which has no key. Give another folder."
        )
    if isinstance(found := description.get("format", 1), int) and found > FORMAT:
        raise ValueError(
            f"Expected a run folder of format {FORMAT} or earlier at {str(folder)!r}; found format "
            f"{found}, of a later rh-lens. Read it with that one."
        )
    if missing := _missing_values(description):
        problem = f"{RUN} does not say, or not as a run's does: {', '.join(missing)}"
        raise DamagedRunError(folder, (problem,))
    return description


def require_this_format(folder: Path, description: Mapping[str, Any]) -> None:
    """Refuse a folder whose key does not hold all that this version compares.

    Raises:
        ValueError: It is of an earlier format.
    """
    if (found := description.get("format", 1)) != FORMAT:
        raise ValueError(
            f"Expected a run folder of format {FORMAT} at {str(folder)!r}; found format {found}, "
            "of an earlier rh-lens, which noted neither the needles' answers nor all weights: "
            "nobody can tell whether its trials are of this run. Its scores can be read; begin "
            "anew in another folder to go on or to merge."
        )


def write_description(
    folder: Path,
    description: Mapping[str, Any],
    status: Status,
    trials: Sequence[Trial],
    error: Mapping[str, Any] | None = None,
) -> None:
    """Replace `run.json` at once; what stands in front says how far the run has come.

    Args:
        folder: The run folder, with the tables that are to be there.
        description: What the run is.
        status: How far it has come.
        trials: The trials that count.
        error: What ended it, with the `trials` that were under way.
    """
    content = {
        **dict.fromkeys(("format", "status", "error", "accounting")),
        **description,
        "status": status,
        "error": error,
        "files": output_hashes(folder),
    }
    content["accounting"] = count_trials(content, trials)
    write_json(folder / RUN, content)


def what_it_is(description: Mapping[str, Any]) -> dict[str, Any]:
    """A description without how far the run has come: what stays the same from its beginning."""
    return {name: value for name, value in description.items() if name not in _PROGRESS}


def count_trials(description: Mapping[str, Any], trials: Sequence[Trial]) -> dict[str, int]:
    """Accounting of a run: every prompt is accepted, rejected, failed or open."""
    accepted = sum(trial.accepted for trial in trials)
    failed = len((description.get("error") or {}).get("trials", ()))
    prompts = n_prompts(description) if description else len(trials)
    return {
        "prompts": prompts,
        "accepted": accepted,
        "rejected": len(trials) - accepted,
        "failed": failed,
        "open": prompts - len(trials) - failed,
    }


def missing_trials(description: Mapping[str, Any], n_trials: int) -> list[str]:
    """What is wrong with the number of trials in a log, if anything is: a text for its damage."""
    counted = description.get("accounting", {"accepted": 0, "rejected": 0})
    n_expected = counted["accepted"] + counted["rejected"]
    is_right = n_trials == n_expected if description["status"] in OVER else n_trials >= n_expected
    if is_right:
        return []
    return [f"{TRIALS} and {HEADS} hold {n_trials} whole trials, and {RUN} counts {n_expected}"]


def n_prompts(description: Mapping[str, Any]) -> int:
    """Number of prompts of a run, or of its shard."""
    shard = description.get("shard")
    return shard["prompts"] if shard else description["key"]["prompts"]["number"]


def shard_entry(shard: Shard | None, n_prompts: int) -> dict[str, int] | None:
    """What a description says of a shard; None for a whole run."""
    if shard is None:
        return None
    return {"number": shard.number, "of": shard.of, "prompts": n_prompts}


def _missing_values(description: Mapping[str, Any]) -> list[str]:
    """Names of the values that every run's description has and this one has not."""
    wanted: dict[str, tuple[type, ...]] = {
        "status": (str,),
        "key.model": (dict,),
        "key.options": (dict,),
        "key.prompts.number": (int,),
    }
    optional: dict[str, tuple[type, ...]] = {
        "files": (dict,),
        "sessions": (list,),
        "accounting.accepted": (int,),
        "accounting.rejected": (int,),
        "shard.prompts": (int,),
    }
    for name, types in optional.items():
        if description.get(name.partition(".")[0]) is not None:
            wanted[name] = types
    missing = [name for name, types in wanted.items() if not _has(description, name, types)]
    known = isinstance(description.get("status"), str) and description["status"] in STATUSES
    return missing if known or "status" in missing else ["status", *missing]


def _has(values: Any, name: str, types: tuple[type, ...]) -> bool:
    """Whether nested mappings hold a value of a type under a dotted name."""
    for part in name.split("."):
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return isinstance(values, types)
