"""Measured caches kept in a folder as they come, so that a curve can go on."""

from typing import Any

from rh_lens.uses.compression import MeasuredCache
from rh_lens.uses.result_log import ResultLog

CACHES_FILE = "caches.json"
"""Name of the file: what was measured of what."""


class CacheLog(ResultLog):
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

    file, what = CACHES_FILE, "caches"

    @property
    def caches(self) -> dict[str, MeasuredCache]:
        """What was measured, by the caches' names."""
        return self.found

    def _require(self, one: Any) -> None:
        _ = (list(one["answers"]), one["nll"], list(one["reading"]))
