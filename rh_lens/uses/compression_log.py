"""Measured caches kept in a folder as they come, so that a curve can go on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rh_lens.checks import require_type
from rh_lens.files import read_bytes, usable_path, write_json
from rh_lens.uses.compression import MeasuredCache

CACHES_FILE = "caches.json"
"""Name of the file: what was measured of what."""


class CacheLog:
    """What caches gave, in a folder; those of another model or other prompts are refused.

    As `done` and `on_cache` of `compression_curve`:

        log = CacheLog("runs/compressed", key)
        compression_curve(model, prompts, scores, done=log.caches, on_cache=log.add)

    Args:
        folder: Where; it must exist.
        key: What the caches are measured with, as JSON values: weights, prompts, sinks.

    Raises:
        OSError: The folder can't be read.
        TypeError: The key is no mapping.
        ValueError: The folder holds caches of something else, or a damaged file.
    """

    def __init__(self, folder: str | Path, key: Mapping[str, Any]) -> None:
        self.folder = usable_path("folder", folder)
        require_type("key", key, Mapping, remedy="Pass what they are measured with, by name.")
        self.key: dict[str, Any] = json.loads(json.dumps(dict(key)))
        self.caches: dict[str, MeasuredCache] = {}
        if (self.folder / CACHES_FILE).exists():
            self._read()

    def __repr__(self) -> str:
        return f"CacheLog({str(self.folder)!r}: {len(self.caches)} measured)"

    def add(self, name: str, found: MeasuredCache) -> None:
        """Keep one more; the file is replaced at once.

        Raises:
            OSError: It can't be written.
            TypeError: It is no mapping.
        """
        require_type("found", found, Mapping)
        self.caches[name] = dict(found)
        write_json(self.folder / CACHES_FILE, {"key": self.key, "caches": self.caches})

    def _read(self) -> None:
        path = self.folder / CACHES_FILE
        remedy = "Name another folder with --out."
        try:
            found = json.loads(read_bytes(path))
            key, caches = dict(found["key"]), dict(found["caches"])
            for one in caches.values():
                _ = (list(one["answers"]), one["nll"], list(one["reading"]))
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise ValueError(
                f"Expected measured caches as this command writes them in {str(path)!r}; found "
                f"{type(error).__name__}: {str(error)[:100]}. {remedy}"
            ) from error
        other = [name for name, value in self.key.items() if key.get(name) != value]
        if other:
            raise ValueError(
                f"Expected caches in {str(self.folder)!r} that are measured with the same model, "
                f"prompts and options; found that they differ in {', '.join(other)}. {remedy}"
            )
        self.caches = caches
