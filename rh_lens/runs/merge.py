"""Joining the parts of a run that several processes answered."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rh_lens.checks import require_flag, require_list
from rh_lens.files import usable_path
from rh_lens.runs.description import FoundRun, n_prompts, read_run_folder, what_it_is
from rh_lens.runs.load import StoredRun, count_trials, load_run, write_outputs
from rh_lens.runs.log import DamagedRunError, Entry, has_log
from rh_lens.runs.run_key import key_differences
from rh_lens.runs.shards import FOLDERS
from rh_lens.runs.store import RunStore, bounded

_NAME_PARTS = "Pass the folders of the parts, or the one that holds them, as [folder, ...]."


def merge_runs(
    paths: Sequence[str | Path],
    out: str | Path,
    *,
    partial: bool = False,
) -> StoredRun:
    """One run from its parts: the trials of all, with scores and events over all.

    Entries of the logs are copied as they are; scores and events are those that one process would
    have given, to the last bit on machines of one kind. The parts are left as they are: a merge
    that was interrupted is repeated, and takes up what is there.

    Args:
        paths: Run folders with the same key, and folders that hold such as `shard-1-of-4` etc.
        out: Folder for the run: new, empty, the one that holds the shards, or one where this merge
            was made or interrupted before.
        partial: Whether prompts may be missing, and parts damaged: what is whole is taken.
            `rh-lens detect --out` goes on from there.

    Returns:
        The merged run, read back; `scores` raises NoAcceptedTrialsError where there are none.

    Raises:
        BlockingIOError: Another process merges into `out`.
        DamagedRunError: A part is damaged, and `partial` is not set.
        FileExistsError: `out` holds other files.
        FileNotFoundError: A part is no run folder.
        OSError: No folder can have the name `out`.
        TypeError: An argument has the wrong type.
        ValueError: There is no part, parts are of different runs or of an earlier format, a trial
            stands in two of them, or prompts are missing and `partial` is not set.

    Examples:
        >>> for number in (1, 2):
        ...     shard = Shard(number, 2)
        ...     with RunFolder(f"run/{shard.folder}", model, prompts, shard=shard) as part:
        ...         part.detect(progress=False)
        >>> merge_runs(["run"], "run").status
        'finished'
    """
    require_flag("partial", partial)
    parts_at = require_list("paths", paths, (str, Path), at_least=1, remedy=_NAME_PARTS)
    out = usable_path("out", out)
    folders = _run_folders([usable_path("paths", path) for path in parts_at], out)
    parts = {folder: read_run_folder(folder, "trials") for folder in folders}
    _require_one_run(parts, partial=partial)
    whole = _description(parts)
    entries = _joined(parts)
    missing = sorted(set(range(n_prompts(whole))) - set(entries))
    if missing and not partial:
        raise ValueError(
            f"Expected all {n_prompts(whole)} prompts in {_names(folders)}; found that "
            f"{len(missing)} are missing: {missing[:8]}. Let all shards end and name all of them, "
            "or ask for a partial merge."
        )
    there = _entries_there(out, entries)
    with RunStore(out, "trials", whole["key"], whole) as run:
        run.sessions = [session for part in parts.values() for session in part.sessions]
        for number in sorted(set(entries) - there):
            run.copy(entries[number])
        stored = load_run(out)
        write_outputs(stored)
        count = count_trials(n_prompts(whole), stored.trials)
        run.end("partial" if missing else "finished", accounting=count)
    return load_run(out)


def holds_one_run(folder: str | Path) -> bool:
    """Whether a folder is a run of its own: no folder of shards, also where they were merged.

    Raises:
        OSError: No folder can have this name.
        TypeError: It is no path.
        ValueError: It is empty or holds a zero byte.

    Examples:
        >>> save_result(result, "run")
        >>> holds_one_run("run")
        True
    """
    folder = usable_path("folder", folder)
    return has_log(folder) and not any(folder.glob(FOLDERS))


def _entries_there(out: Path, entries: Mapping[int, Entry]) -> set[int]:
    """Numbers of the entries that an earlier merge of the same has brought.

    Raises:
        FileExistsError: The folder holds a run that is no such merge.
    """
    if not has_log(out):
        return set()
    found = read_run_folder(out, "trials")
    there = {entry.name for entry in found.log.entries.values()}
    if "merged" not in found.description or there - {one.name for one in entries.values()}:
        raise FileExistsError(
            f"Expected a new or empty folder for a run, or an earlier merge of these; found one "
            f"with other trials in {str(out)!r}. Choose another folder, or move this one away."
        )
    return set(found.log.entries)


def _run_folders(paths: Sequence[Path], out: Path) -> list[Path]:
    """The folders of runs among paths, shards in place of the folder that holds them."""
    folders = []
    for path in paths:
        holds_merge = path.resolve() == out.resolve() or not has_log(path)
        folders += (sorted(path.glob(FOLDERS)) if holds_merge else []) or [path]
    twice = [folder for folder in folders if folders.count(folder) > 1]
    if twice:
        raise ValueError(
            f"Expected each folder once; found {_names(twice[:1])} twice. Name it once."
        )
    return folders


def _description(parts: Mapping[Path, FoundRun]) -> dict[str, Any]:
    """What the whole run is: the first part's description, and where all parts come from."""
    merged = [
        {"path": str(folder), "trials": len(part.log.entries), "damage": list(part.damage)}
        for folder, part in parts.items()
    ]
    first = next(iter(parts.values())).description
    return {**what_it_is(first), "shard": None, "merged": merged}


def _require_one_run(parts: Mapping[Path, FoundRun], *, partial: bool) -> None:
    """Refuse folders of different runs, damaged ones, and such as do not say what they are."""
    for folder, part in parts.items():
        if not part.description or (part.damage and not partial):
            raise DamagedRunError(folder, part.damage)
    (first, expected), *others = parts.items()
    for folder, part in others:
        differences = key_differences(expected.description["key"], part.description["key"])
        if differences:
            raise ValueError(
                f"Expected parts of one run; found that {str(folder)!r} (here) differs from "
                f"{str(first)!r} (there) in {bounded(differences)}. Merge what was run with the "
                "same model, prompts, options and versions."
            )


def _joined(parts: Mapping[Path, FoundRun]) -> dict[int, Entry]:
    """Trials of all folders by index, each from one folder."""
    origin: dict[int, Path] = {}
    for folder, part in parts.items():
        twice = sorted(set(part.log.entries) & set(origin))
        if twice:
            raise ValueError(
                f"Expected every trial in one folder; found {len(twice)} trials ({twice[:8]}) in "
                f"both {str(origin[twice[0]])!r} and {str(folder)!r}. Leave one of them out."
            )
        origin |= dict.fromkeys(part.log.entries, folder)
    return {number: parts[folder].log.entries[number] for number, folder in origin.items()}


def _names(folders: Sequence[Path]) -> str:
    return ", ".join(repr(str(folder)) for folder in folders)
