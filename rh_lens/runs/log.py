"""The log of a run: a file for each entry, written once, with a hash of its content in its name.

`log/begin-<hash>.safetensors` says what the run is; `log/000007-<hash>.safetensors` is entry 7,
such as a trial. Each is there whole or not at all, whatever interrupts the writing, and a damaged
file takes no other with it. An entry is a record of JSON values and some tensors; nothing of it can
run code.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from rh_lens.checks import shown
from rh_lens.files import open_to_append, read_plain_file, remove_temporaries, replacing
from rh_lens.runs.lock import lock_file

LOG = "log"
_BEGIN = "begin"
_LOCK = ".lock"
_NAME = re.compile(r"(begin|[0-9]{6,12})-([0-9a-f]{32})\.safetensors")
# A trial of 10,000 heads with a million events takes a tenth of this.
_MAX_BYTES = 1 << 30


class DamagedRunError(ValueError):
    """A run folder whose files are not as they were written.

    Args:
        folder: The run folder.
        damage: What is wrong, one text for each place.
    """

    def __init__(self, folder: Path, damage: tuple[str, ...]) -> None:
        self.damage = damage
        more = f"; and {len(damage) - 5} more" if damage[5:] else ""
        super().__init__(
            f"Expected the run in {shown(str(folder), 300)} to be whole; found damage: "
            f"{'; '.join(damage[:5])}{more}. Copy the folder anew if you can, or repeat the "
            "command that made it: it makes again what is lost. load_run(path, recover=True) and "
            "rh-lens merge --partial take what is whole."
        )


@dataclass(frozen=True)
class Entry:
    """One file of a log.

    Args:
        name: The file's.
        content: Its bytes.
        record: Its JSON values.
        tensors: Its tensors.
    """

    name: str
    content: bytes
    record: dict[str, Any]
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class Log:
    """What a log holds.

    Args:
        description: What the run is; None if no file says so.
        entries: The whole entries by number, in their order.
        damage: What is wrong with the other files, by their names.
    """

    description: dict[str, Any] | None
    entries: dict[int, Entry]
    damage: dict[str, str]


class LogWriter:
    """Adds entries to a log; a log that another process writes to is refused.

    Args:
        folder: The run folder.
        run: Hash that names the run in every entry.

    Raises:
        BlockingIOError: Another process writes to the log.
        DamagedRunError: The log's folder, or the file that is locked, is a link.
    """

    def __init__(self, folder: Path, run: str) -> None:
        self._folder, self._run = folder / LOG, run
        try:
            if self._folder.is_symlink():
                raise ValueError(f"{LOG} is a link, and what it leads to is not of this folder")
            self._folder.mkdir(exist_ok=True)
            self._lock = open_to_append(self._folder / _LOCK)
        except (FileExistsError, ValueError) as error:
            raise DamagedRunError(folder, (str(error),)) from error
        try:
            lock_file(self._lock.fileno(), folder, f"{LOG}/{_LOCK}")
            remove_temporaries(self._folder)
        except BaseException:
            self._lock.close()
            raise

    def begin(self, description: Mapping[str, Any]) -> None:
        """Write what the run is; a log begins with this."""
        self._write(_BEGIN, {"description": dict(description)}, {})

    def append(self, number: int, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Add an entry. After an error it is not in the log, and the log is as it was.

        Raises:
            OSError: It could not be written, such as to a full disk.
        """
        self._write(f"{number:06d}", record, tensors)

    def copy(self, entry: Entry) -> None:
        """Add an entry of another log, as it is."""
        with replacing(self._folder / entry.name) as temporary:
            temporary.write_bytes(entry.content)

    def set_aside(self, log: Log) -> None:
        """Hide damaged files, so that what they held can be written again."""
        for name in log.damage:
            with suppress(FileNotFoundError):
                (self._folder / name).replace(self._folder / f".{name}.damaged")

    def discard(self) -> None:
        """Remove the log, while nobody else can write to it."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        """Let other processes write."""
        self._lock.close()

    def _write(self, stem: str, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        text = json.dumps({"run": self._run, **record}, ensure_ascii=False)
        parts = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        content = safetensors.torch.save(parts, metadata={"record": text})
        self.copy(Entry(f"{stem}-{_digits(content)}.safetensors", content, {}, {}))


def read_log(folder: Path, *, only_beginning: bool = False) -> Log:
    """What the log in a run folder holds, also while another process writes to it.

    No link is followed, and nothing is taken from a file that is not as it was written.

    Args:
        folder: The run folder.
        only_beginning: Whether only what the run is, is read.
    """
    first: Entry | None = None
    entries: dict[int, Entry] = {}
    damage = {}
    # First what the run is: its name, which begins with a letter, comes last.
    for path in reversed(_files(folder)):
        is_first = path.name.startswith(_BEGIN)
        if only_beginning and not is_first:
            continue
        try:
            entry = _read(path)
            number = -1 if is_first else int(path.name.partition("-")[0])
            if first and entry.record.get("run") != first.record.get("run"):
                raise ValueError("of another run")
            if first is not None if is_first else number in entries:
                raise ValueError("a second time; the other one counts")
        except (OSError, ValueError) as error:
            damage[path.name] = f"{LOG}/{path.name}: {str(error)[:200]}"
            continue
        if is_first:
            first = entry
        else:
            entries[number] = entry
    description = None if first is None else first.record["description"]
    return Log(description, dict(sorted(entries.items())), damage)


def has_log(folder: Path) -> bool:
    """Whether a folder has a log that was begun."""
    return bool(_files(folder))


def _files(folder: Path) -> list[Path]:
    """Files of a log by name, without hidden ones: the lock, and what a killed process left."""
    log = folder / LOG
    if log.is_symlink() or not log.is_dir():
        return []
    return sorted(path for path in log.iterdir() if not path.name.startswith("."))


def _read(path: Path) -> Entry:
    """An entry from its file.

    Raises:
        OSError: The file can't be read.
        ValueError: It is not as it was written.
    """
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ValueError("no file of a log")
    content = read_plain_file(path, at_most=_MAX_BYTES)
    if _digits(content) != match[2]:
        raise ValueError("not as it was written")
    n_bytes = int.from_bytes(content[:8], "little")
    try:
        record = dict(json.loads(json.loads(content[8 : 8 + n_bytes])["__metadata__"]["record"]))
        if match[1] == _BEGIN:
            dict(record["description"])
        return Entry(path.name, content, record, safetensors.torch.load(content))
    except (
        ValueError,
        LookupError,
        TypeError,
        RecursionError,
        safetensors.SafetensorError,
    ) as error:
        raise ValueError(f"holds what no run writes ({type(error).__name__})") from error


def _digits(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
