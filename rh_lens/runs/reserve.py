"""Folders and files that a command has for itself before it begins to work."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rh_lens.checks import require_path, require_text, shown
from rh_lens.runs.lock import lock_file

# Bytes that are written on trial: a full disk may take an empty file.
_N_TRIED = 1 << 16
_MAX_NAMES = 10_000


@contextmanager
def reserve_folder(folder: str | Path) -> Iterator[Path]:
    """Context in which a folder is there, can be written to, and is this process's alone.

    For what is written at the end of a long run: whatever would be in the way is found before it.
    A folder that was made here and is empty afterwards is removed again.

    Args:
        folder: Made if missing, with the folders above it.

    Raises:
        BlockingIOError: Another process has it.
        OSError: It can't be made, or not be written to.
        TypeError: It is no path.
        ValueError: It is empty or holds a zero byte.

    Examples:
        >>> with reserve_folder("results") as folder:
        ...     (folder / "note.txt").write_text("kept")
        4
    """
    folder = require_path("folder", folder)
    made = [one for one in (folder, *folder.parents) if not os.path.lexists(one)]
    with _removed_if_empty(made):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY) if os.name == "posix" else None
        except OSError as error:
            raise _impossible(folder, error) from error
        try:
            if descriptor is not None:
                lock_file(descriptor, folder, ".")
            _try_to_write(folder)
            yield folder
        finally:
            if descriptor is not None:
                os.close(descriptor)


@contextmanager
def reserve_file(path: str | Path) -> Iterator[Path]:
    """Context in which a file can be written, and is this process's alone.

    It is made if missing, and removed if it is still empty afterwards.

    Raises:
        BlockingIOError: Another process has it.
        OSError: It can't be written.
        TypeError: It is no path.
        ValueError: It is empty or holds a zero byte.

    Examples:
        >>> with reserve_file("table.csv") as path:
        ...     path.write_text("a,b")
        3
    """
    path = require_path("path", path)
    _try_to_write(path.parent)
    try:
        file = path.open("ab")
    except OSError as error:
        raise _impossible(path, error) from error
    try:
        lock_file(file.fileno(), path.parent, path.name)
        yield path
    finally:
        file.close()
        with suppress(OSError):
            if path.stat().st_size == 0:
                path.unlink()


@contextmanager
def reserve_new_folder(parent: str | Path, name: str) -> Iterator[Path]:
    """`reserve_folder` of a folder that nobody has yet: `parent/name`, `parent/name-2` and so on.

    Two processes that ask for the same name get two folders.

    Raises:
        OSError: It can't be made, or not be written to.
        TypeError: The parent is no path, or the name no text.
        ValueError: One of them is blank or holds a zero byte.

    Examples:
        >>> with reserve_new_folder("runs", "detect") as folder:
        ...     (folder / "note.txt").write_text("kept")
        4
        >>> with reserve_new_folder("runs", "detect") as folder:
        ...     folder.name
        'detect-2'
    """
    require_text("name", name)
    parent = require_path("parent", parent)
    require_path("name", parent / name)
    made = [one for one in (parent, *parent.parents) if not os.path.lexists(one)]
    with _removed_if_empty(made):
        folder = _new_folder(parent, name)
        with _removed_if_empty([folder]), reserve_folder(folder):
            yield folder


def _new_folder(parent: Path, name: str) -> Path:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for number in range(1, _MAX_NAMES):
            folder = parent / (name if number == 1 else f"{name}-{number}")
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as error:
        raise _impossible(parent / name, error) from error
    raise FileExistsError(
        f"Expected a free name like {str(parent / name)!r}; found {_MAX_NAMES - 1} folders of that "
        "name. Move some away, or name another with --out."
    )


def _try_to_write(folder: Path) -> None:
    """Write some bytes to a file that goes away at once."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_N_TRIED))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _impossible(folder, error) from error


@contextmanager
def _removed_if_empty(folders: list[Path]) -> Iterator[None]:
    """Context after which folders that are empty are removed, the innermost first."""
    try:
        yield
    finally:
        with suppress(OSError):
            for folder in folders:
                folder.rmdir()


def _impossible(path: Path, error: OSError) -> OSError:
    reason = error.strerror or str(error)
    return type(error)(
        f"Expected to write results to {shown(str(path), 300)}; found that it is "
        f"impossible: {reason}. Choose another place with --out, or make room there."
    )
