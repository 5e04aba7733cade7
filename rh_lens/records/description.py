"""`run.json`: what a run is, how far it has come, and whether another one is the same."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from rh_lens.detection import Trial
from rh_lens.records.files import write_json
from rh_lens.records.log import HEADS, TRIALS, DamagedRunError
from rh_lens.records.outputs import output_hashes
from rh_lens.records.run_key import key_differences
from rh_lens.records.shards import FOLDERS, Shard

RUN = "run.json"
Status: TypeAlias = Literal["running", "stopped", "failed", "partial", "finished"]
OVER = ("finished", "partial")
"""Status of a run whose log ends with a whole trial: answered, or merged from parts."""


def read_description(folder: Path) -> dict[str, Any]:
    """The content of a folder's `run.json`.

    Raises:
        DamagedRunError: It can't be read.
        ValueError: It tells of something else than trials.
    """
    try:
        description = dict(json.loads((folder / RUN).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        problem = f"{RUN} can't be read ({type(error).__name__}: {error})"
        raise DamagedRunError(folder, (problem,)) from error
    if "key" not in description:
        raise ValueError(
            f"Expected a run of rh-lens detect in {str(folder)!r}; found one of "
            f"{description.get('command')!r}, which has no key. Give another folder."
        )
    return description


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
        **dict.fromkeys(("status", "error", "accounting")),
        **description,
        "status": status,
        "error": error,
        "files": output_hashes(folder),
    }
    content["accounting"] = count_trials(content, trials)
    write_json(folder / RUN, content)


def require_no_other_files(folder: Path) -> None:
    """Refuse a folder that holds anything but shards, and what a run killed at once may leave.

    Raises:
        FileExistsError: It does.
    """
    if not folder.exists():
        return
    shards = {one.name for one in folder.glob(FOLDERS)}
    files = {one.name for one in folder.iterdir() if not _is_beginning(one)}
    if found := sorted(files - shards):
        raise FileExistsError(
            f"Expected a new or empty folder for a run; found {found[:4]} in {str(folder)!r}. "
            "Choose another folder, or move these away."
        )


def require_same_run(folder: Path, before: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that differs in its key or its shard.

    Args:
        folder: Named in the error.
        before: Description that the folder holds.
        here: `key`, `shard` and, to explain a difference, `arguments` of the run that would go on.

    Raises:
        ValueError: They differ; the message names every field, with both values.
    """
    differences = key_differences(before["key"], here["key"])
    if differences:
        # A hash of prompts says little; the arguments that made them say more.
        differences += _differences("arguments", before, here)
    differences += _differences("shard", before, here)
    if differences:
        raise ValueError(
            f"Expected the run in {str(folder)!r} to be this one; found that it differs in "
            f"{'; '.join(differences)}. Repeat it with what it was begun with, or choose another "
            "folder."
        )


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


def _is_beginning(file: Path) -> bool:
    """Whether a file may stand there before `run.json` does; it holds no trial."""
    return file.name == f"{RUN}.new" or (file.name in (TRIALS, HEADS) and file.stat().st_size == 0)


def _differences(field: str, before: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    return key_differences({field: before.get(field)}, {field: here.get(field)})
