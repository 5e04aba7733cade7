"""Joining the parts of a run that several processes answered."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rh_lens.detection import NoAcceptedTrialsError
from rh_lens.records.description import (
    RUN,
    n_prompts,
    read_description,
    require_no_other_files,
    write_description,
)
from rh_lens.records.load import StoredRun, load_run
from rh_lens.records.log import Entry, copy_entries, read_log
from rh_lens.records.outputs import write_events, write_scores
from rh_lens.records.run_key import key_differences, key_sha256
from rh_lens.records.shards import FOLDERS


def merge_runs(
    paths: Sequence[str | Path],
    out: str | Path,
    *,
    partial: bool = False,
    recover: bool = False,
) -> StoredRun:
    """One run from its parts: the trials of all, with scores and events over all.

    Lines of the logs are copied as they are, in the order of the prompts; scores and events are
    those that one process would have given, to the last bit on machines of one kind.

    Args:
        paths: Run folders with the same key, and folders that hold such as `shard-1-of-4` etc.
        out: Folder for the run: new, empty, or the one that holds the shards.
        partial: Whether prompts may be missing. `rh-lens detect --out` goes on from there.
        recover: Whether parts may be damaged; what is whole in them is taken.

    Returns:
        The merged run, read back; `scores` raises NoAcceptedTrialsError where there are none.

    Raises:
        DamagedRunError: A part is damaged, and `recover` is not set.
        FileExistsError: `out` holds other files.
        FileNotFoundError: A part is no run folder.
        ValueError: There is no part, parts are of different runs, a trial stands in two of them, or
            prompts are missing and `partial` is not set.
    """
    out, folders = Path(out), _run_folders(paths)
    require_no_other_files(out)
    parts = {folder: load_run(folder, recover=recover) for folder in folders}
    descriptions = {folder: read_description(folder) for folder in folders}
    _require_one_run(descriptions)
    whole = {**descriptions[folders[0]], "shard": None}
    entries = _joined(folders, key_sha256(whole["key"]))
    missing = sorted(set(range(n_prompts(whole))) - set(entries))
    if missing and not partial:
        raise ValueError(
            f"Expected all {n_prompts(whole)} prompts in {_names(folders)}; found that "
            f"{len(missing)} are missing: {missing[:8]}. Let all shards end and name all of them, "
            "or ask for a partial merge."
        )
    whole["sessions"] = [one for d in descriptions.values() for one in d.get("sessions", [])]
    whole["merged"] = [
        {"path": str(folder), "trials": len(part.answered), "damage": list(part.damage)}
        for folder, part in parts.items()
    ]
    out.mkdir(parents=True, exist_ok=True)
    copy_entries([entries[index] for index in sorted(entries)], out)
    return _finished(out, whole, is_whole=not missing)


def _finished(out: Path, description: dict[str, Any], *, is_whole: bool) -> StoredRun:
    """The run whose log is in a folder, with its tables and its description."""
    write_description(out, description, "running", [])
    run = load_run(out)
    write_events(out, run.events)
    with suppress(NoAcceptedTrialsError):
        write_scores(out, run.result())
    write_description(out, description, "finished" if is_whole else "partial", run.answered)
    return load_run(out)


def _run_folders(paths: Sequence[str | Path]) -> list[Path]:
    """The folders of runs among paths, shards in place of the folder that holds them."""
    folders = []
    for path in map(Path, paths):
        shards = sorted(path.glob(FOLDERS)) if not (path / RUN).exists() else []
        folders += shards or [path]
    if not folders:
        raise ValueError("Expected run folders to merge; found none. Name one or more.")
    twice = [folder for folder in folders if folders.count(folder) > 1]
    if twice:
        raise ValueError(
            f"Expected each folder once; found {_names(twice[:1])} twice. Name it once."
        )
    return folders


def _require_one_run(descriptions: Mapping[Path, Mapping[str, Any]]) -> None:
    """Refuse folders of different runs."""
    (first, expected), *others = descriptions.items()
    for folder, description in others:
        differences = key_differences(expected["key"], description["key"])
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
