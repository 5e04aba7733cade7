"""Joining the parts of a run that several processes answered."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rh_lens.checks import require_flag, require_list
from rh_lens.detection import NoAcceptedTrialsError
from rh_lens.files import remove_temporaries, usable_path
from rh_lens.runs.description import (
    OVER,
    RUN,
    n_prompts,
    read_description,
    require_this_format,
    what_it_is,
    write_description,
)
from rh_lens.runs.load import StoredRun, load_run, stored_run
from rh_lens.runs.lock import lock_file
from rh_lens.runs.log import HEADS, TRIALS, DamagedRunError, Entry, read_log, write_log
from rh_lens.runs.result_tables import remove_outputs, write_events, write_scores
from rh_lens.runs.resume import require_no_other_files
from rh_lens.runs.run_key import key_differences, key_sha256
from rh_lens.runs.shards import FOLDERS

_NAME_PARTS = "Pass the folders of the parts, or the one that holds them, as [folder, ...]."


def merge_runs(
    paths: Sequence[str | Path],
    out: str | Path,
    *,
    partial: bool = False,
    recover: bool = False,
) -> StoredRun:
    """One run from its parts: the trials of all, with scores and events over all.

    Lines of the logs are copied as they are, in the order of the prompts; scores and events are
    those that one process would have given, to the last bit on machines of one kind. The parts are
    left as they are: a merge that was interrupted is repeated, and one that was not finds its
    result there.

    Args:
        paths: Run folders with the same key, and folders that hold such as `shard-1-of-4` etc.
        out: Folder for the run: new, empty, the one that holds the shards, or one where this merge
            was made or interrupted before.
        partial: Whether prompts may be missing. `rh-lens detect --out` goes on from there.
        recover: Whether parts may be damaged; what is whole in them is taken. Without `run.json`,
            the log tells which run it is.

    Returns:
        The merged run, read back; `scores` raises NoAcceptedTrialsError where there are none.

    Raises:
        BlockingIOError: Another process merges into `out`.
        DamagedRunError: A part is damaged, and `recover` is not set.
        FileExistsError: `out` holds other files.
        FileNotFoundError: A part is no run folder.
        OSError: No folder can have the name `out`.
        TypeError: An argument has the wrong type.
        ValueError: There is no part, parts are of different runs or of an earlier format, a trial
            stands in two of them, or prompts are missing and `partial` is not set.
    """
    require_flag("partial", partial)
    require_flag("recover", recover)
    parts_at = require_list("paths", paths, (str, Path), at_least=1, remedy=_NAME_PARTS)
    out = usable_path("out", out)
    folders = _run_folders([usable_path("paths", path) for path in parts_at], out)
    before = _merge_there(out)
    if before is None:
        require_no_other_files(out)
    parts = {folder: load_run(folder, recover=recover) for folder in folders}
    _require_one_run(parts)
    whole = _description(parts)
    entries = _joined(folders, key_sha256(whole["key"]))
    missing = sorted(set(range(n_prompts(whole))) - set(entries))
    if missing and not partial:
        raise ValueError(
            f"Expected all {n_prompts(whole)} prompts in {_names(folders)}; found that "
            f"{len(missing)} are missing: {missing[:8]}. Let all shards end and name all of them, "
            "or ask for a partial merge."
        )
    in_order = [entries[index] for index in sorted(entries)]
    if before is not None and before["status"] != "merging":
        return _require_same_trials(out, in_order)
    out.mkdir(parents=True, exist_ok=True)
    with _alone_in(out):
        return _write(out, whole, in_order, is_whole=not missing)


def holds_one_run(folder: str | Path) -> bool:
    """Whether a folder is a run of its own: no folder of shards, also where they were merged.

    Raises:
        OSError: No folder can have this name.
        TypeError: It is no path.
        ValueError: It is empty or holds a zero byte.
    """
    folder = usable_path("folder", folder)
    if not ((folder / RUN).exists() or (folder / TRIALS).exists()):
        return False
    return _merge_there(folder) is None or not any(folder.glob(FOLDERS))


def _write(
    out: Path, description: Mapping[str, Any], entries: Sequence[Entry], *, is_whole: bool
) -> StoredRun:
    """Write the folder of a merged run.

    First of all `run.json` says that a merge is under way, so that whatever ends it leaves a folder
    that the next one may write to.
    """
    run = key_sha256(description["key"])
    remove_temporaries(out)
    write_description(out, description, "merging", [])
    remove_outputs(out)
    write_log(out, run, what_it_is(description), entries)
    stored = stored_run(out, dict(description), read_log(out, run=run, is_over=True))
    write_events(out, stored.events)
    with suppress(NoAcceptedTrialsError):
        write_scores(out, stored.result())
    write_description(out, description, "finished" if is_whole else "partial", stored.answered)
    return load_run(out)


def _run_folders(paths: Sequence[Path], out: Path) -> list[Path]:
    """The folders of runs among paths, shards in place of the folder that holds them."""
    folders = []
    for path in paths:
        is_merge = path.resolve() == out.resolve() and _merge_there(path) is not None
        shards = sorted(path.glob(FOLDERS)) if is_merge or not (path / RUN).exists() else []
        folders += shards or [path]
    twice = [folder for folder in folders if folders.count(folder) > 1]
    if twice:
        raise ValueError(
            f"Expected each folder once; found {_names(twice[:1])} twice. Name it once."
        )
    return folders


def _merge_there(out: Path) -> dict[str, Any] | None:
    """Description of the merge that a folder holds, whole or interrupted; None if it holds none."""
    if not (out / RUN).exists():
        return None
    try:
        found = read_description(out)
    except ValueError:
        return None
    is_merge = found["status"] == "merging" or (found["status"] in OVER and "merged" in found)
    return found if is_merge else None


def _require_same_trials(out: Path, entries: Sequence[Entry]) -> StoredRun:
    """The merged run that is there already, if it has these trials and no others.

    Raises:
        DamagedRunError: It is damaged.
        FileExistsError: It has others.
    """
    run = load_run(out)
    there = read_log(out, run=None, is_over=True).entries.values()
    if [entry.trial_line for entry in there] != [entry.trial_line for entry in entries]:
        raise FileExistsError(
            f"Expected a new or empty folder for a run; found a merge of other trials in "
            f"{str(out)!r}. Choose another folder, or move this one away."
        )
    return run


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Context in which no other process merges into a folder, where the system has such locks."""
    if os.name != "posix":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        lock_file(descriptor, folder, ".")
        yield
    finally:
        os.close(descriptor)


def _description(parts: Mapping[Path, StoredRun]) -> dict[str, Any]:
    """What the whole run is: the first part's description, and where all parts come from."""
    descriptions = [part.description for part in parts.values()]
    return {
        **descriptions[0],
        "shard": None,
        "sessions": [one for described in descriptions for one in described.get("sessions", [])],
        "merged": [
            {"path": str(folder), "trials": len(part.answered), "damage": list(part.damage)}
            for folder, part in parts.items()
        ],
    }


def _require_one_run(parts: Mapping[Path, StoredRun]) -> None:
    """Refuse folders of different runs, and such as do not say of which they are."""
    for folder, part in parts.items():
        if not part.description:
            problem = f"neither {RUN} nor the first line of {HEADS} says what the run is"
            raise DamagedRunError(folder, (problem,))
        require_this_format(folder, part.description)
    (first, expected), *others = parts.items()
    for folder, part in others:
        differences = key_differences(expected.description["key"], part.description["key"])
        if differences:
            raise ValueError(
                f"Expected parts of one run; found that {str(folder)!r} (here) differs from "
                f"{str(first)!r} (there) in {'; '.join(differences)}. Merge what was run with the "
                "same model, prompts, options and versions."
            )


def _joined(folders: Sequence[Path], run: str) -> dict[int, Entry]:
    """Trials of all folders by index, each from one folder."""
    entries: dict[int, Entry] = {}
    origin: dict[int, Path] = {}
    for folder in folders:
        found = read_log(folder, run=run, is_over=False).entries
        twice = sorted(set(found) & set(entries))
        if twice:
            raise ValueError(
                f"Expected every trial in one folder; found {len(twice)} trials ({twice[:8]}) in "
                f"both {str(origin[twice[0]])!r} and {str(folder)!r}. Leave one of them out."
            )
        entries |= found
        origin |= dict.fromkeys(found, folder)
    return entries


def _names(folders: Sequence[Path]) -> str:
    return ", ".join(repr(str(folder)) for folder in folders)
