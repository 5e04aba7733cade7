"""One writer at a time."""

import errno
import os
from pathlib import Path


def lock_file(descriptor: int, folder: Path, name: str) -> None:
    """Lock an open file until it is closed or its process ends, however it ends.

    Where the system or the file system has no such locks, nothing is locked.

    Args:
        descriptor: Of the open file, or of a folder.
        folder: Where it lies.
        name: Its name there; "." for the folder itself.

    Raises:
        BlockingIOError: Another process, or another open file of this one, has the lock, or has
            just removed the file.
    """
    if os.name != "posix":
        return
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise _another_writes(folder) from error
    path = folder / name
    if not path.exists() or not os.path.samestat(os.fstat(descriptor), path.stat()):
        raise _another_writes(folder)


def _another_writes(folder: Path) -> BlockingIOError:
    return BlockingIOError(
        f"Expected no other process to write to the run in {str(folder)!r}; found that one does. "
        "Wait until it has ended, or choose another folder."
    )
