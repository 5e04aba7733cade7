"""Results kept in a folder as they come, so that a command can go on after a kill."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from rh_lens.checks import require_type
from rh_lens.files import read_bytes, usable_path, write_json


class ResultLog:
    """Results by name in one file of a folder, with the key of what they were measured with.

    Args:
        folder: Where; it must exist.
        key: What they are measured with, as JSON values.

    Raises:
        OSError: The folder can't be read.
        TypeError: The key is no mapping.
        ValueError: The folder holds results of something else, or a damaged file.
    """

    file: ClassVar[str]
    """Name of the file."""
    what: ClassVar[str]
    """What is measured, in the plural."""

    def __init__(self, folder: str | Path, key: Mapping[str, Any]) -> None:
        self.folder = usable_path("folder", folder)
        require_type("key", key, Mapping, remedy="Pass what they are measured with, by name.")
        self.key: dict[str, Any] = json.loads(json.dumps(dict(key)))
        self.found: dict[str, dict[str, Any]] = {}
        if (self.folder / self.file).exists():
            self._read()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r}: {len(self.found)} measured)"

    def add(self, name: str, found: Mapping[str, Any]) -> None:
        """Keep one more; the file is replaced at once.

        Raises:
            OSError: It can't be written.
            TypeError: It is no mapping.
        """
        require_type("found", found, Mapping)
        self.found[name] = dict(found)
        write_json(self.folder / self.file, {"key": self.key, self.what: self.found})

    def _require(self, one: Any) -> None:
        """Fail on a value that is no result.

        Raises:
            LookupError: It lacks something.
            TypeError: A part is of another type.
        """
        raise NotImplementedError

    def _read(self) -> None:
        path = self.folder / self.file
        remedy = "Name another folder with --out."
        try:
            read = json.loads(read_bytes(path))
            key, found = dict(read["key"]), dict(read[self.what])
            for one in found.values():
                self._require(one)
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise ValueError(
                f"Expected measured {self.what} as this command writes them in {str(path)!r}; "
                f"found {type(error).__name__}: {str(error)[:100]}. {remedy}"
            ) from error
        other = [name for name, value in self.key.items() if key.get(name) != value]
        if other:
            raise ValueError(
                f"Expected {self.what} in {str(self.folder)!r} that are measured with the same "
                f"model, prompts and options; found that they differ in {', '.join(other)}. "
                f"{remedy}"
            )
        self.found = found
