"""What torchrun, accelerate and the like say of the process that they have started."""

import os

import torch

from rh_lens.runs.shards import Shard


def launched_shard() -> Shard | None:
    """The part of a run that this process is to answer, by RANK and WORLD_SIZE; None: all."""
    if not is_launched():
        return None
    return Shard(int(os.environ["RANK"]) + 1, int(os.environ["WORLD_SIZE"]))


def is_launched() -> bool:
    """Whether this is one of several processes that a launcher has started."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", 1)) > 1


def is_launched_alone() -> bool:
    """Whether accelerate has started this one process because it is to run on CPUs."""
    return os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true" and not is_launched()


def own_device(device: str | None) -> str | None:
    """A device's name; with several processes on a machine, each its own GPU.

    Args:
        device: What was asked for; None: an accelerator if there is one.
    """
    if device in (None, "cuda") and is_launched() and torch.cuda.is_available():
        return f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    return device
