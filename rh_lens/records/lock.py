"""One writer at a time."""

import errno
import os
from io import FileIO
from pathlib import Path


def lock_file(file: FileIO, folder: Path) -> None:
    """Lock an open file until it is closed or its process ends, however it ends.

    Where the system or the file system has no such locks, nothing is locked.

    Args:
        file: Open for writing.
        folder: Named in the error.

    Raises:
        BlockingIOError: Another process, or another open file of this one, has the lock.
    """
    if os.name != "posix":
        return
    import fcntl

    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise BlockingIOError(
                f"Expected no other process to write to the run in {str(folder)!r}; found that one "
                "does. Wait until it has ended, or choose another folder."
            ) from error
