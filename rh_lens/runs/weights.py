"""A hash of all weights of a model, as they are in memory."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from rh_lens.runtime import Bridge, require_bridge

# Of a tensor on an accelerator, so much is on the CPU at once in each thread.
_PIECE_BYTES = 1 << 26
_MAX_THREADS = 16


def weights_sha256(model: Bridge) -> str:
    """SHA-256 over every weight: names, shapes, dtypes and all bytes, as they are in memory.

    It reads the memory and no file, as weights may be changed after they were loaded. A tensor
    under several names (tied, or a module that the bridge has wrapped) is read once. Buffers that a
    model computes from its configuration, such as RoPE frequencies, are left out: see
    `config_sha256`.

    Raises:
        TypeError: It is no TransformerBridge.
        ValueError: A weight is not in memory (on the "meta" device, or offloaded to disk).

    Examples:
        >>> len(weights_sha256(model))
        64
    """
    require_bridge(model)
    weights = dict(sorted(model.original_model.state_dict().items()))
    absent = [name for name, weight in weights.items() if weight.is_meta]
    if absent:
        raise ValueError(
            f"Expected all weights in memory; found {len(absent)} of {len(weights)} on the meta "
            f"device, such as {absent[0]!r}. Load the model on devices that hold all of it."
        )
    tensors = {_place(weight): weight for weight in weights.values()}
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        digests = dict(zip(tensors, pool.map(_sha256, tensors.values()), strict=True))
    lines = [
        f"{name} {tuple(weight.shape)} {weight.dtype} {digests[_place(weight)]}\n"
        for name, weight in weights.items()
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _place(tensor: Tensor) -> tuple[Any, ...]:
    """Where a tensor's values lie: tensors of one place hold the same bytes."""
    return tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()


def _sha256(tensor: Tensor) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(tensor):
        digest.update(piece.numpy().data)
    return digest.hexdigest()


def _pieces(tensor: Tensor) -> Iterator[Tensor]:
    """A tensor's bytes on the CPU, a piece at a time."""
    values = tensor.detach().flatten()
    for piece in values.split(max(1, _PIECE_BYTES // values.element_size())):
        yield piece.cpu().view(torch.uint8)
