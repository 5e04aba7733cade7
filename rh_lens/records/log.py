"""The log of a run: two files that only grow, one line a trial in each.

`heads.jsonl` gets a trial's line first, then `trials.jsonl`, whose line names the other by its
hash and ends with a hash of its own. A trial counts when both lines are whole and the hashes fit;
so it counts whole or not at all, whatever interrupts the writing.
"""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from rh_lens.records.files import replacing, sync_folder
from rh_lens.records.lock import lock_file

TRIALS, HEADS = "trials.jsonl", "heads.jsonl"
_SEAL = b', "sha256": "'
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
            "folder anew if you can. load_run(path, recover=True) reads the rest, and rh-lens "
            "merge --recover --partial writes it to a new folder, where rh-lens detect goes on."
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
    """

    entries: dict[int, Entry]
    damage: tuple[str, ...]


class LogWriter:
    """Adds trials to a log; a log that another process writes to is refused.

    Args:
        folder: The run folder.
        run: Hash that names the run in every line.

    Raises:
        BlockingIOError: Another process writes to the log.
    """

    def __init__(self, folder: Path, run: str) -> None:
        self._run = run
        self._trials = (folder / TRIALS).open("ab", buffering=0)
        try:
            lock_file(self._trials, folder)
            self._heads = (folder / HEADS).open("ab", buffering=0)
        except BaseException:
            self._trials.close()
            raise
        sync_folder(folder)
        self._synced = time.monotonic()

    def cut_back(self, log: Log) -> None:
        """Cut away what follows the last whole trial of a log without damage."""
        entries = log.entries.values()
        self._trials.truncate(sum(len(entry.trial_line) + 1 for entry in entries))
        self._heads.truncate(sum(len(entry.heads_line) + 1 for entry in entries))

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
            _write(self._trials, _seal(record, self._run, _sha256(heads_line)))
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
    by_hash = {_sha256(line): line for line in heads_lines}
    entries: dict[int, Entry] = {}
    damage = []
    for number, line in enumerate(trial_lines, start=1):
        record, problem = _unseal(line, run), None
        if record is None:
            problem = "broken, or of another run"
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
    if not damage and not (in_step and _may_end(n_more, trial_rest, heads_rest, is_over)):
        damage.append(
            f"{TRIALS} and {HEADS} do not end with the same trial: the second has {n_more} more "
            f"whole lines, and {len(trial_rest)} and {len(heads_rest)} bytes follow the last ones"
        )
    return Log(entries, tuple(damage))


def copy_entries(entries: Sequence[Entry], folder: Path) -> None:
    """Write a log of these trials to a folder, each file at once."""
    with replacing(folder / HEADS) as temporary:
        temporary.write_bytes(b"".join(entry.heads_line + b"\n" for entry in entries))
    with replacing(folder / TRIALS) as temporary:
        temporary.write_bytes(b"".join(entry.trial_line + b"\n" for entry in entries))


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
    *lines, rest = path.read_bytes().split(b"\n") if path.exists() else [b""]
    return lines, rest


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _write(file: FileIO, line: bytes) -> None:
    """Write a line; the system may take it in parts."""
    rest = memoryview(line + b"\n")
    while rest:
        rest = rest[file.write(rest) :]


def _seal(record: dict[str, Any], run: str, heads_sha256: str) -> bytes:
    """A trial's line: the record, the run, the other line's hash, and a hash of all of these."""
    content = {**record, "run": run, "heads_sha256": heads_sha256}
    text = json.dumps(content, ensure_ascii=False).encode()
    return text[:-1] + _SEAL + _sha256(text).encode() + b'"}'


def _unseal(line: bytes, run: str | None) -> dict[str, Any] | None:
    """The record of a trial's line, with the other line's hash; None if it is not as sealed."""
    text, _, seal = line.rpartition(_SEAL)
    text += b"}"
    if seal != _sha256(text).encode() + b'"}':
        return None
    record = json.loads(text)
    return record if record.pop("run") == run or run is None else None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
