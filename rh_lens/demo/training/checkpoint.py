"""Training checkpoints in safetensors: tensors and JSON, which run no code when they are read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from rh_lens.files import replacing

_VALUES = "values"
_OPTIMIZER = "optimizer"


def write_checkpoint(
    path: Path, *, values: Any, tensors: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: The file.
        values: JSON values.
        tensors: Tensors by name.
        optimizer: Its state goes on too.
    """
    state = optimizer.state_dict()
    moments = {
        f"{_OPTIMIZER}.{parameter}.{name}": value
        for parameter, values_of_one in state["state"].items()
        for name, value in values_of_one.items()
    }
    # Copies: tied weights may not share their memory in a file.
    content = {name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()}
    content |= {name: torch.as_tensor(value).cpu() for name, value in moments.items()}
    text = json.dumps({_VALUES: values, _OPTIMIZER: state["param_groups"]})
    with replacing(path) as temporary:
        save_file(content, temporary, metadata={"checkpoint": text})


def read_checkpoint(path: Path) -> tuple[Any, dict[str, Tensor], dict[str, Any]]:
    """The values, the tensors and the optimizer's state of a checkpoint.

    Raises:
        ValueError: The file is no checkpoint.
    """
    try:
        with safe_open(path, framework="pt") as file:
            described = json.loads((file.metadata() or {})["checkpoint"])
            content = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(
            f"Expected a checkpoint of rh_lens.demo.train in {str(path)!r}; found a file that is "
            f"none ({type(error).__name__}: {error}). Move it away to begin anew."
        ) from error
    state: dict[int, dict[str, Tensor]] = {}
    tensors = {}
    for name, tensor in content.items():
        room, _, rest = name.partition(".")
        if room != _OPTIMIZER:
            tensors[name] = tensor
            continue
        parameter, _, moment = rest.partition(".")
        state.setdefault(int(parameter), {})[moment] = tensor
    return described[_VALUES], tensors, {"state": state, "param_groups": described[_OPTIMIZER]}
