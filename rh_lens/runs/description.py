"""`run.json`: what a run is, for people, and how far it has come."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from rh_lens.checks import shown
from rh_lens.files import read_plain_file, write_json
from rh_lens.runs.log import LOG, Log, read_log
from rh_lens.runs.result_tables import OUTPUTS, changed_outputs, output_hashes
from rh_lens.runs.shards import FOLDERS

RUN = "run.json"
RUN_FILES = (RUN, *OUTPUTS)
"""Names of a run folder's files, beside its log."""
FORMAT = 3
"""Of run folders. The log of 1 and 2 was in `trials.jsonl` and `heads.jsonl`."""
Kind: TypeAlias = Literal["trials", "answers", "task answers"]
"""What a run's log holds: trials of a detection, answers of an ablation or to a task's items."""
COMMANDS: dict[Kind, str] = {
    "trials": "rh-lens detect",
    "answers": "rh-lens ablate",
    "task answers": "rh-lens evaluate",
}
Status: TypeAlias = Literal["running", "stopped", "failed", "partial", "finished"]
_PROGRESS = (
    *("status", "n_entries", "files", "sessions", "error"),
    *("accounting", "n_answers", "tables"),
)
# Whatever `run.json` says of these, the log has the last word.
_IDENTITY = ("format", "kind", "key", "shard")
_MAX_BYTES = 1 << 28


@dataclass(frozen=True)
class FoundRun:
    """What a run folder holds.

    Args:
        description: What the run is, from its log, and how far it has come, from `run.json`; empty
            if both are damaged.
        log: The log.
        damage: What is wrong with the folder, one text for each place.
    """

    description: dict[str, Any]
    log: Log
    damage: tuple[str, ...]

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """When and where the run was begun and gone on with."""
        return list(self.description.get("sessions", []))


def read_run_folder(folder: Path, kind: Kind) -> FoundRun:
    """What a run folder holds, also while another process writes to it.

    Raises:
        FileNotFoundError: It holds no run.
        ValueError: The run is of another kind, or of another format.
    """
    # The log last: it has all that `run.json` counts.
    written, damage = _read_json(folder)
    log = read_log(folder)
    if not (log.description or log.entries or log.damage or (folder / RUN).exists()):
        raise _no_run(folder)
    identity = log.description or what_it_is(written)
    if identity:
        require_format(folder, identity, kind)
    told = _has(written, _PROGRESS_OF) and written["status"] in get_args(Status)
    if written and not told:
        damage.append(f"{RUN} does not say how far the run has come")
        written = {}
    if log.description is None or not _has(identity, _EVERY_RUN):
        damage.append(f"{LOG} does not say what the run is")
    if not _has(identity, _EVERY_RUN):
        identity = written = {}
    description = {**identity, **written}
    description |= {name: identity[name] for name in _IDENTITY if name in identity}
    damage += [*log.damage.values(), *_lost_entries(description, log)]
    damage += changed_outputs(folder, description.get("files", {}))
    return FoundRun(description, log, tuple(damage))


def write_description(
    folder: Path, description: Mapping[str, Any], status: Status, progress: Mapping[str, Any]
) -> None:
    """Replace `run.json` at once; what stands in front says how far the run has come.

    Args:
        folder: The run folder, with the tables that are to be there.
        description: What the run is.
        status: How far it has come.
        progress: What else tells of it.
    """
    content = {"format": FORMAT, "status": status, **progress, **what_it_is(description)}
    write_json(folder / RUN, {**content, "files": output_hashes(folder)})


def what_it_is(description: Mapping[str, Any]) -> dict[str, Any]:
    """A description without how far the run has come: what stays the same from its beginning."""
    return {name: value for name, value in description.items() if name not in _PROGRESS}


def n_prompts(description: Mapping[str, Any]) -> int:
    """Number of prompts of a run, or of its shard."""
    shard = description.get("shard")
    return shard["prompts"] if shard else description["key"]["prompts"]["number"]


def require_format(folder: Path, identity: Mapping[str, Any], kind: Kind) -> None:
    """Refuse what another version, or another command, has written.

    Raises:
        ValueError: It is of another format or kind.
    """
    found = identity.get("format", 1)
    if found != FORMAT:
        age = "a later" if isinstance(found, int) and found > FORMAT else "an earlier"
        raise ValueError(
            f"Expected a run folder of format {FORMAT} at {str(folder)!r}; found format "
            f"{shown(found)}, of {age} rh-lens. Read its head_scores.json and its tables instead, "
            "or use that version; begin anew in another folder to go on."
        )
    if identity.get("kind") != kind:
        other = next((COMMANDS[one] for one in COMMANDS if one == identity.get("kind")), "another")
        raise ValueError(
            f"Expected a run of {COMMANDS[kind]} in {str(folder)!r}; found one of {other}. Give "
            "another folder."
        )


def _read_json(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The content of `run.json`, and what is wrong with it."""
    try:
        written = dict(json.loads(read_plain_file(folder / RUN, at_most=_MAX_BYTES)))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        return {}, [f"{RUN} can't be read ({type(error).__name__}: {str(error)[:200]})"]
    return written, []


def _no_run(folder: Path) -> FileNotFoundError:
    shards = sorted(one.name for one in folder.glob(FOLDERS)) if folder.is_dir() else []
    found = f"its parts {shards[:4]}" if shards else "none"
    todo = "Join them: rh-lens merge." if shards else "Give the folder that --out named."
    return FileNotFoundError(
        f"Expected a run folder, with {RUN} and {LOG}, at {shown(str(folder), 300)}; "
        f"found {found}. {todo}"
    )


def _lost_entries(description: Mapping[str, Any], log: Log) -> list[str]:
    """What `run.json` counts and the log does not hold, a text for it."""
    n_found, n_counted = len(log.entries), description.get("n_entries", 0)
    if n_found >= n_counted:
        return []
    return [f"{LOG} holds {n_found} whole entries, and {RUN} counts {n_counted}"]


_EVERY_RUN = {"key.model": dict, "key.options": dict, "key.prompts.number": int}
_PROGRESS_OF = {"status": str, "n_entries": int, "files": dict, "sessions": list}


def _has(values: Mapping[str, Any], wanted: Mapping[str, type]) -> bool:
    """Whether nested mappings hold values of these types under these dotted names."""
    for name, kind in wanted.items():
        value: Any = values
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if not isinstance(value, kind):
            return False
    return True
