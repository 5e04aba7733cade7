"""Time and peak memory of a call."""

import ctypes
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch

from rh_lens.checks import require_callable, require_type

T = TypeVar("T")
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Measurement(Generic[T]):
    """What a call returned and cost.

    Args:
        value: What it returned.
        seconds: Wall-clock time.
        megabytes: Peak memory above what was in use before; None where it cannot be read.
    """

    value: T
    seconds: float
    megabytes: float | None


def measure(call: Callable[[], T], device: torch.device) -> Measurement[T]:
    """Run `call` once: on CUDA by the allocator's peak, elsewhere by the process's (Linux).

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> found = measure(lambda: sum(range(10)), torch.device("cpu"))
        >>> found.value
        45
    """
    require_callable("call", call)
    require_type("device", device, torch.device, remedy="Make one with torch.device(...).")
    gc.collect()
    before = _start(device)
    start = time.perf_counter()
    value = call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - start
    peak = _peak(device)
    megabytes = None if before is None or peak is None else (peak - before) / 1e6
    return Measurement(value, seconds, megabytes)


def _start(device: torch.device) -> float | None:
    """Forget the peak so far; bytes in use now."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return float(torch.cuda.memory_allocated(device))
    if not _CLEAR.exists():
        return None
    # Hand freed memory back, so that earlier calls do not hide what this one needs.
    ctypes.CDLL(None).malloc_trim(0)
    _CLEAR.write_text("5")
    return _status("VmRSS")


def _peak(device: torch.device) -> float | None:
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    return _status("VmHWM") if _STATUS.exists() else None


def _status(field: str) -> float:
    """A size from the kernel's account of this process, in bytes."""
    (line,) = [line for line in _STATUS.read_text().splitlines() if line.startswith(field)]
    return float(line.split()[1]) * 1024
