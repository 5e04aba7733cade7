"""Whether a run may begin in a folder, or go on with what is there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rh_lens.files import is_temporary
from rh_lens.prompts import NeedlePrompt
from rh_lens.runs.description import RUN, require_this_format
from rh_lens.runs.log import HEADS, TRIALS, DamagedRunError, is_empty_log, read_log
from rh_lens.runs.run_key import key_differences
from rh_lens.runs.shards import FOLDERS
from rh_lens.runs.trial_lines import stored_prompt


def require_no_other_files(folder: Path) -> None:
    """Refuse a folder that holds anything but shards, and what a run killed at once may leave.

    Raises:
        DamagedRunError: It holds the log of a run whose `run.json` is lost.
        FileExistsError: It holds something else.
    """
    if not folder.exists():
        return
    if not (folder / RUN).exists() and not is_empty_log(folder):
        raise DamagedRunError(folder, (f"{RUN} is missing",))
    shards = {one.name for one in folder.glob(FOLDERS)}
    files = {one.name for one in folder.iterdir() if not is_temporary(one)}
    if found := sorted(files - shards - {HEADS, TRIALS}):
        raise FileExistsError(
            f"Expected a new or empty folder for a run; found {found[:4]} in {str(folder)!r}. "
            "Choose another folder, or move these away."
        )


def require_no_merge(folder: Path, description: Mapping[str, Any]) -> None:
    """Refuse a folder that a merge was writing to when it ended.

    Raises:
        ValueError: It is one.
    """
    if description["status"] == "merging":
        parts = " ".join(part["path"] for part in description.get("merged", []))
        raise ValueError(
            f"Expected a run in {str(folder)!r}; found a merge that was interrupted. Repeat it; it "
            f"takes its trials from {parts or 'its parts'}, where nothing was changed."
        )


def require_same_run(
    folder: Path,
    before: Mapping[str, Any],
    here: Mapping[str, Any],
    prompts: Sequence[NeedlePrompt] = (),
) -> None:
    """Refuse to go on with a run that differs in its key or its shard.

    Args:
        folder: The run folder.
        before: Description that the folder holds.
        here: `key`, `shard` and, to explain a difference, `arguments` of the run that would go on.
        prompts: The prompts of that run, to show the first that differs from a stored trial's.

    Raises:
        ValueError: They differ; the message names every field, with both values.
    """
    require_no_merge(folder, before)
    require_this_format(folder, before)
    differences = key_differences(before["key"], here["key"])
    if differences:
        # A hash of prompts says little; the arguments and the texts that made them say more.
        differences += _differences("arguments", before, here)
        differences += _first_other_prompt(folder, prompts)
    differences += _differences("shard", before, here)
    if differences:
        raise ValueError(
            f"Expected the run in {str(folder)!r} to be this one; found that it differs in "
            f"{'; '.join(differences)}. Repeat it with what it was begun with, or choose another "
            "folder."
        )


def _differences(field: str, before: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    return key_differences({field: before.get(field)}, {field: here.get(field)})


def _first_other_prompt(folder: Path, prompts: Sequence[NeedlePrompt]) -> list[str]:
    """How the first stored prompt that differs does so, in all but its tokens."""
    for index, entry in sorted(read_log(folder, run=None, is_over=False).entries.items()):
        if index < len(prompts) and prompts[index].sha256 != entry.record["prompt_sha256"]:
            there, here = stored_prompt(entry.record).content, prompts[index].content
            del there["tokens"], here["tokens"]
            return [f"prompt {index}: {text}" for text in key_differences(there, here)]
    return []
