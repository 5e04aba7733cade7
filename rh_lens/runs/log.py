"""The log of a run: two files that only grow, one line a trial in each.

`heads.jsonl` gets a trial's line first, then `trials.jsonl`, whose line names the other by its
hash and ends with a hash of its own. A trial counts when both lines are whole and the hashes fit;
so it counts whole or not at all, whatever interrupts the writing. In front of its trials,
`heads.jsonl` has one line more: what the run is, so that the log alone tells of it.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from shlex import quote
from typing import Any

from rh_lens.files import open_to_append, replacing, sync_folder
from rh_lens.runs.lock import lock_file
from rh_lens.runs.seals import line_sha256, seal, unseal

TRIALS, HEADS = "trials.jsonl", "heads.jsonl"
_BEGINNING = b'{"description": '
# A killed process loses nothing that was written; a computer that goes down may lose this much.
_SECONDS_UNSYNCED = 1.0


class DamagedRunError(ValueError):
    """A run folder whose files are not as they were written.

    Args:
        folder: The run folder.
        damage: What is wrong, one text for each place.
    """

    def __init__(self, folder: Path, damage: tuple[str, ...]) -> None:
        self.damage = damage
        shown = "; ".join(damage[:5]) + (f"; and {len(damage) - 5} more" if damage[5:] else "")
        super().__init__(
            f"Expected the run in {str(folder)!r} to be whole; found damage: {shown}. Copy the "
            "folder anew if you can. load_run(path, recover=True) reads the rest, and "
            f"rh-lens merge {quote(str(folder))} --recover --partial --out NEW writes it to a new "
            "folder, where rh-lens detect --out NEW goes on."
        )


@dataclass(frozen=True)
class Entry:
    """One trial of a log.

    Args:
        record: The trial's line of `trials.jsonl`, without its hashes.
        trial_line: The same as it stands in the file, without the line's end.
        heads_line: Its line of `heads.jsonl`.
    """

    record: dict[str, Any]
    trial_line: bytes
    heads_line: bytes

    @property
    def heads(self) -> dict[str, Any]:
        """The values of the trial's line of `heads.jsonl`."""
        return json.loads(self.heads_line)


@dataclass(frozen=True)
class Log:
    """What a log holds.

    Args:
        entries: The trials that count, by index, in the order of writing.
        damage: What is wrong with the files, one text for each place.
        first_line: The line of `heads.jsonl` that says what the run is, without its end; None if
            there is none that is whole.
    """

    entries: dict[int, Entry]
    damage: tuple[str, ...]
    first_line: bytes | None = None

    @property
    def description(self) -> dict[str, Any] | None:
        """What the log itself says of the run; None if it does not."""
        return None if self.first_line is None else json.loads(self.first_line)["description"]


class LogWriter:
    """Adds trials to a log; a log that another process writes to is refused.

    Args:
        folder: The run folder.
        run: Hash that names the run in every line.

    Raises:
        BlockingIOError: Another process writes to the log.
        DamagedRunError: A file of the log is a link.
    """

    def __init__(self, folder: Path, run: str) -> None:
        self._run, self._folder = run, folder
        self._trials = _open(folder, TRIALS)
        try:
            lock_file(self._trials.fileno(), folder, TRIALS)
            self._heads = _open(folder, HEADS)
        except BaseException:
            self._trials.close()
            raise
        sync_folder(folder)
        self._synced = time.monotonic()

    def cut_back(self, log: Log) -> None:
        """Cut away what follows the last whole trial of a log without damage."""
        entries = log.entries.values()
        first = 0 if log.first_line is None else len(log.first_line) + 1
        self._trials.truncate(sum(len(entry.trial_line) + 1 for entry in entries))
        self._heads.truncate(first + sum(len(entry.heads_line) + 1 for entry in entries))

    def begin(self, description: Mapping[str, Any]) -> None:
        """Write what the run is, in place of all that is there; a log begins with this.

        Raises:
            OSError: It could not be written; the log is empty.
        """
        for file in (self._trials, self._heads):
            file.truncate(0)
        try:
            _write(self._heads, _first_line(description, self._run))
            self.sync()
        except BaseException:
            with suppress(OSError):
                self._heads.truncate(0)
            raise

    def discard(self) -> None:
        """Remove the files, while nobody else can write to them."""
        for name in (HEADS, TRIALS):
            (self._folder / name).unlink(missing_ok=True)

    def append(self, record: dict[str, Any], heads: dict[str, Any]) -> None:
        """Add a trial. After an error it is not in the log, and the log is as it was.

        Raises:
            OSError: It could not be written, such as to a full disk.
        """
        files = self._heads, self._trials
        sizes = [os.fstat(file.fileno()).st_size for file in files]
        heads_line = json.dumps(heads, separators=(",", ":")).encode()
        try:
            _write(self._heads, heads_line)
            sealed = seal({**record, "heads_sha256": line_sha256(heads_line)}, self._run)
            _write(self._trials, sealed)
            if time.monotonic() - self._synced > _SECONDS_UNSYNCED:
                self.sync()
        except BaseException:
            for file, size in zip(files, sizes, strict=True):
                # Where even that fails, readers find a broken end and leave it out.
                with suppress(OSError):
                    file.truncate(size)
            raise

    def sync(self) -> None:
        """Have everything on disk."""
        for file in (self._heads, self._trials):
            os.fsync(file.fileno())
        self._synced = time.monotonic()

    def close(self) -> None:
        """Have everything on disk, and let other processes write."""
        try:
            self.sync()
        finally:
            self._heads.close()
            self._trials.close()


def read_log(folder: Path, *, run: str | None, is_over: bool) -> Log:
    """The trials of a log that count, and what is wrong with the others.

    What follows the last whole trial is no damage while a run is not over: it is the beginning of a
    trial during which the process was killed.

    Args:
        folder: The run folder.
        run: Hash that names the run in every line; None: any.
        is_over: Whether nothing may follow the last whole trial.
    """
    (trial_lines, trial_rest), (heads_lines, heads_rest) = _all_lines(folder)
    first, heads_lines = _without_first_line(heads_lines)
    by_hash = {line_sha256(line): line for line in heads_lines}
    entries: dict[int, Entry] = {}
    damage = []
    for number, line in enumerate(trial_lines, start=1):
        record, problem = unseal(line, run), None
        if record is None or not {"trial", "heads_sha256"} <= set(record):
            record, problem = None, "broken, or of another run"
        elif record["heads_sha256"] not in by_hash:
            problem = f"trial {record['trial']} has no whole line in {HEADS}"
        elif record["trial"] in entries:
            problem = f"trial {record['trial']} a second time; the first counts"
        if record is None or problem:
            damage.append(f"{TRIALS}, line {number}: {problem}")
            continue
        heads_line = by_hash[record.pop("heads_sha256")]
        entries[record["trial"]] = Entry(record, line, heads_line)
    n_more = len(heads_lines) - len(trial_lines)
    in_step = [entry.heads_line for entry in entries.values()] == heads_lines[: len(entries)]
    if first is not None and unseal(first, run) is None:
        first = None
        damage.append(f"{HEADS}, line 1: broken, or of another run")
    if not damage and not (in_step and _may_end(n_more, trial_rest, heads_rest, is_over)):
        damage.append(
            f"{TRIALS} and {HEADS} do not end with the same trial: the second has {n_more} more "
            f"whole lines, and {len(trial_rest)} and {len(heads_rest)} bytes follow the last ones"
        )
    return Log(entries, tuple(damage), first)


def write_log(
    folder: Path, run: str, description: Mapping[str, Any], entries: Sequence[Entry]
) -> None:
    """Write a log of these trials to a folder, each file at once."""
    lines = [_first_line(description, run), *(entry.heads_line for entry in entries)]
    with replacing(folder / HEADS) as temporary:
        temporary.write_bytes(b"".join(line + b"\n" for line in lines))
    with replacing(folder / TRIALS) as temporary:
        temporary.write_bytes(b"".join(entry.trial_line + b"\n" for entry in entries))


def is_empty_log(folder: Path) -> bool:
    """Whether a folder's log holds no trial, nor the beginning of one's line."""
    return not _size(folder / TRIALS) and len(_lines(folder / HEADS)[0]) < 2


def _open(folder: Path, name: str) -> FileIO:
    try:
        return open_to_append(folder / name)
    except ValueError as error:
        raise DamagedRunError(folder, (str(error),)) from error


def _first_line(description: Mapping[str, Any], run: str) -> bytes:
    # In one order, wherever the description comes from: equal runs have equal logs.
    in_order = json.loads(json.dumps(description, sort_keys=True))
    return seal({"description": in_order}, run)


def _without_first_line(heads_lines: list[bytes]) -> tuple[bytes | None, list[bytes]]:
    """The line that says what the run is, if there is one, and the others."""
    if heads_lines and heads_lines[0].startswith(_BEGINNING):
        return heads_lines[0], heads_lines[1:]
    return None, heads_lines


def _may_end(n_more: int, trial_rest: bytes, heads_rest: bytes, is_over: bool) -> bool:
    """Whether sound files may end so: with a whole trial or, in a run that goes on, with one begun.

    Args:
        n_more: Whole lines of `heads.jsonl` beyond those of `trials.jsonl`.
        trial_rest: What follows the last whole line of `trials.jsonl`.
        heads_rest: The same of `heads.jsonl`.
        is_over: Whether no trial may have begun.
    """
    if is_over:
        return n_more == 0 and not trial_rest and not heads_rest
    return (n_more == 0 and not trial_rest) or (n_more == 1 and not heads_rest)


def _all_lines(folder: Path) -> tuple[tuple[list[bytes], bytes], tuple[list[bytes], bytes]]:
    """Lines of both files at one moment, also while another process writes."""
    while True:
        trials, heads = _lines(folder / TRIALS), _lines(folder / HEADS)
        n_bytes = sum(len(line) + 1 for line in trials[0]) + len(trials[1])
        if n_bytes == _size(folder / TRIALS):
            return trials, heads


def _lines(path: Path) -> tuple[list[bytes], bytes]:
    """Whole lines of a file, without their ends, and what follows the last one."""
    *lines, rest = path.read_bytes().split(b"\n") if path.is_file() else [b""]
    return lines, rest


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _write(file: FileIO, line: bytes) -> None:
    """Write a line; the system may take it in parts."""
    rest = memoryview(line + b"\n")
    while rest:
        rest = rest[file.write(rest) :]
