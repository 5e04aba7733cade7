"""A run folder that this process writes to: one store, for trials and for ablations' answers."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from torch import Tensor

from rh_lens.files import is_temporary, remove_temporaries
from rh_lens.runs.description import (
    FORMAT,
    RUN,
    FoundRun,
    Kind,
    Status,
    read_run_folder,
    require_format,
    what_it_is,
    write_description,
)
from rh_lens.runs.log import LOG, DamagedRunError, Entry, LogWriter, has_log, read_log
from rh_lens.runs.packing import PACKING
from rh_lens.runs.result_tables import remove_outputs
from rh_lens.runs.run_key import key_differences, key_sha256
from rh_lens.runs.shards import FOLDERS

_Store = TypeVar("_Store", bound="RunStore")


class RunStore:
    """The lock, the log and the `run.json` of a folder, while a run goes on there.

    A context manager. Left before `finish`, the run is "stopped", or "failed" after an error; an
    error before anything was kept leaves nothing behind in a new folder.

    Args:
        path: The folder; made if missing.
        kind: What the log holds.
        key: What makes the run this run and no other.
        description: What else `run.json` is to say; JSON values.
        shard: Which part of a run it is: its `number`, `of` how many, its `prompts`; None: all.
    """

    path: Path
    was_finished: bool
    """Whether the folder held the whole run when it was opened."""
    n_entries: int
    """Entries of the log."""
    sessions: list[dict[str, Any]]
    """When and where the run was begun and gone on with."""
    damage: tuple[str, ...]
    """What was found damaged when the folder was opened, and is made again."""

    def __init__(
        self,
        path: Path,
        kind: Kind,
        key: Mapping[str, Any],
        description: Mapping[str, Any] | None = None,
        shard: Mapping[str, int] | None = None,
    ) -> None:
        identity = {"format": FORMAT, "kind": kind, "key": dict(key), "shard": shard}
        self.path, self.n_entries, self.sessions, self.damage = path, 0, [], ()
        self.was_finished = self._is_over = False
        self._kind, self._description = kind, {**(description or {}), **identity}

    def __enter__(self: _Store) -> _Store:
        """Lock the folder, and read what it holds.

        Raises:
            BlockingIOError: Another process writes to it.
            DamagedRunError: Nothing says any more what it is, or its log is a link.
            FileExistsError: It holds files that are no run.
            ValueError: It holds another run; the message names every field that differs.
        """
        require_run_or_nothing(self.path, self._kind)
        self._makes_folder = not self.path.exists()
        self.path.mkdir(parents=True, exist_ok=True)
        self._log = LogWriter(self.path, key_sha256(self._description["key"]))
        self._is_new = not has_log(self.path)
        try:
            self._begin_or_go_on()
        except BaseException:
            self._close(discard=self._is_new)
            raise
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        discard = error is not None and self._is_new and not self._has_begun()
        try:
            if not self._is_over and not discard:
                status: Status = "failed" if isinstance(error, Exception) else "stopped"
                self._describe("finished" if self._is_complete() else status, error)
        except OSError:
            # On a full disk the error that ended the run says more than one that follows from it.
            if error is None:
                raise
        finally:
            self._close(discard=discard)

    def keep(self, number: int, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Add an entry to the log; after an error it is not there.

        Raises:
            OSError: It could not be written.
        """
        self._log.append(number, record, tensors)
        self.n_entries += 1

    def copy(self, entry: Entry) -> None:
        """Add an entry of another folder's log, as it is."""
        self._log.copy(entry)
        self.n_entries += 1

    def end(self, status: Status = "finished", **progress: Any) -> None:
        """Have `run.json` say that nothing more is added; `progress` goes there too."""
        self._describe(status, **progress)
        self._is_over = True

    def _restore(self, found: FoundRun) -> bool:
        """Take over what the folder holds; whether the run was finished and is whole."""
        return False

    def _progress(self, failure: dict[str, Any] | None) -> dict[str, Any]:
        """How far the run has come, for `run.json`; more may be said of the error that ended it."""
        return {}

    def _is_complete(self) -> bool:
        """Whether there is nothing left to do, also without `end`."""
        return False

    def _has_begun(self) -> bool:
        """Whether a folder that is left by an error is worth keeping."""
        return self.n_entries > 0

    def _explain(self, found: FoundRun) -> list[str]:
        """More differences of a run that is refused, from what was found."""
        return []

    def _begin_or_go_on(self) -> None:
        if self._is_new:
            self._log.begin(what_it_is(self._description))
        else:
            found = self._same_run()
            self.damage = found.damage
            self.n_entries = len(found.log.entries)
            self.sessions = found.sessions
            self.was_finished = self._is_over = self._restore(found) and not found.damage
            self._log.set_aside(found.log)
            if found.log.description is None:
                self._log.begin(what_it_is(found.description))
        if not self.was_finished:
            remove_temporaries(self.path)
            remove_outputs(self.path)
            session = {name: self._description.get(name) for name in ("started", "machine")}
            self.sessions.append({**session, "n_before": self.n_entries})
            self._describe("running")

    def _same_run(self) -> FoundRun:
        """What the folder holds, if it is this run."""
        found = read_run_folder(self.path, self._kind)
        before, here = found.description, self._description
        if not before:
            raise DamagedRunError(self.path, found.damage)
        differences = key_differences(before["key"], here["key"])
        if differences:
            # A hash of prompts says little; the arguments and the texts that made them say more.
            told = _differences("arguments", before, here) + self._explain(found)
            differences = told + differences
        differences += _differences("shard", before, here)
        if differences:
            raise ValueError(
                f"Expected the run in {str(self.path)!r} to be this one; found that it differs in "
                f"{bounded(differences)}. Repeat it with what it was begun with, or choose another "
                "folder."
            )
        return found

    def _describe(
        self, status: Status, error: BaseException | None = None, **progress: Any
    ) -> None:
        """Replace `run.json` at once."""
        failure = None
        if isinstance(error, Exception):
            failure = {"type": type(error).__name__, "message": str(error)}
        own = {"error": failure, "n_entries": self.n_entries, **self._progress(failure)}
        progress = {**own, "sessions": self.sessions, **progress}
        write_description(self.path, self._description, status, progress)

    def _close(self, *, discard: bool) -> None:
        """Let other processes write; without a trace of the run, if it is to be discarded."""
        if discard:
            (self.path / RUN).unlink(missing_ok=True)
            self._log.discard()
        self._log.close()
        if discard and self._makes_folder:
            with suppress(OSError):  # somebody has put a file there
                self.path.rmdir()


def require_run_or_nothing(folder: Path, kind: Kind) -> None:
    """Refuse a folder that holds anything but shards, a run, and what a run killed at once leaves.

    How its needles are packed may be chosen before it begins.

    Raises:
        DamagedRunError: It holds `run.json` without a log.
        FileExistsError: It holds something else.
        ValueError: It holds a run of another format or kind.
    """
    if not folder.exists():
        return
    if has_log(folder):
        if identity := read_log(folder, only_beginning=True).description:
            require_format(folder, identity, kind)
        return
    if (folder / RUN).exists():
        raise DamagedRunError(folder, read_run_folder(folder, kind).damage)
    shards = {one.name for one in folder.glob(FOLDERS)}
    files = {one.name for one in folder.iterdir() if not is_temporary(one)}
    if found := sorted(files - shards - {LOG, PACKING}):
        raise FileExistsError(
            f"Expected a new or empty folder for a run, or one with a run to go on with; found "
            f"{found[:4]} in {str(folder)!r}. Choose another folder, or move these away."
        )


def bounded(differences: list[str], most: int = 12) -> str:
    """Differences in one text; of many, the first and how many more there are."""
    more = f"; and {len(differences) - most} more" if len(differences) > most else ""
    return "; ".join(differences[:most]) + more


def _differences(field: str, before: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    return key_differences({field: before.get(field)}, {field: here.get(field)})
