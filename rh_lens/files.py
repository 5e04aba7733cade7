"""Files that are whole or not there, and that are no links to others."""

import hashlib
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

from rh_lens.checks import require_path, shown

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)  # where there are links, there is this
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}\.new")


def usable_path(name: str, path: object) -> Path:
    """A path that the file system can look at; nothing need be there.

    Args:
        name: What the caller knows it as.
        path: What was given.

    Raises:
        OSError: No file can have this name.
        TypeError: It is no path.
        ValueError: It is empty or holds a zero byte.
    """
    found = require_path(name, path)
    try:
        found.exists()
    except OSError as error:
        raise _told(error, f"{name} to be the name of a file or a folder", found) from error
    return found


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8.

    Raises:
        OSError: It can't be written.
        TypeError: The path is none.
        ValueError: The path is empty or holds a zero byte.
    """
    path = usable_path("path", path)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _told(error, "path to be a file that can be written", path) from error


def read_bytes(path: str | Path) -> bytes:
    """The content of a file.

    Raises:
        OSError: It can't be read.
        TypeError: The path is none.
        ValueError: The path is empty or holds a zero byte.
    """
    path = usable_path("path", path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise _told(error, "path to be a file that can be read", path) from error


def _told(error: OSError, wanted: str, path: Path) -> OSError:
    """The system's error in the house's words."""
    reason = error.strerror or str(error)
    return type(error)(
        f"Expected {wanted}; found {shown(str(path), 300)}: {reason}. Check the path."
    )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Context that gives a temporary path; what was written there then replaces `path` at once.

    A reader, or a process that is killed at any moment, sees the old file or the new one, and
    never a part. After an error the old one stays. Nobody can have put a link where the temporary
    file is made: its name can't be guessed and is refused if it exists. A link at `path` is
    replaced, and what it leads to is left alone.

    Raises:
        OSError: No file can be made there.
        TypeError: The path is none.
        ValueError: The path is empty or holds a zero byte.
    """
    path = usable_path("path", path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(16)}.new")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o666))
    except OSError as error:
        raise _told(error, "path to be a file that can be written", path) from error
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


@contextmanager
def new_folder(name: str, path: str | Path) -> Iterator[Path]:
    """Context that gives a temporary folder, which gets its name when all has been written.

    Args:
        name: What the caller knows the path as.
        path: Where nothing may be yet.

    Raises:
        FileExistsError: There is something.
        OSError: No folder can be made there.
        TypeError: The path is none.
        ValueError: The path is empty or holds a zero byte.
    """
    path = usable_path(name, path)
    if path.exists() or path.is_symlink():
        raise FileExistsError(
            f"Expected {name} to be one that does not exist yet; found {shown(str(path), 300)}. "
            "Name another one: nothing is written over."
        )
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(16)}.new")
    try:
        temporary.mkdir()
    except OSError as error:
        raise _told(error, f"{name} to be a folder that can be made", path) from error
    try:
        yield temporary
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(path.parent)


def is_temporary(path: Path) -> bool:
    """Whether a file was left by a process that was killed inside `replacing`."""
    return _TEMPORARY.fullmatch(path.name) is not None


def remove_temporaries(folder: Path) -> None:
    """Remove what killed processes have left; nobody else may be writing to the folder."""
    for path in folder.iterdir():
        if is_temporary(path):
            path.unlink()


def open_to_append(path: Path) -> FileIO:
    """A file to append to, made if missing: a plain one that has no other name.

    Raises:
        OSError: It can't be opened.
        ValueError: It is a link, has a second name (a hard link), or is no file.
    """
    # Without O_NONBLOCK, opening a pipe would wait for a reader.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NOFOLLOW | getattr(os, "O_NONBLOCK", 0)
    if path.is_symlink():
        raise ValueError(f"{path.name} is a link, and what it leads to is not of this folder")
    descriptor = os.open(path, flags, 0o666)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(descriptor)
        raise ValueError(
            f"{path.name} is no plain file, or has {status.st_nlink} names (hard links)"
        )
    return FileIO(descriptor, "a")


def read_plain_file(path: Path, *, at_most: int) -> bytes:
    """The content of a plain file: no link is followed, no pipe is waited for.

    Args:
        path: The file.
        at_most: Bytes that it may have.

    Raises:
        OSError: It can't be read, or is a link.
        ValueError: It is no plain file, or a larger one.
    """
    descriptor = os.open(path, os.O_RDONLY | _NOFOLLOW | getattr(os, "O_NONBLOCK", 0))
    with FileIO(descriptor) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > at_most:
            raise ValueError(f"{path.name} is no plain file of {at_most} bytes or fewer")
        return file.readall()


def write_json(path: Path, content: Any) -> None:
    """Write JSON that people read, replacing the file at once."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


def sync_folder(folder: Path) -> None:
    """Have a folder's names on disk, where the system knows how to."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
