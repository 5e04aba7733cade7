"""Whether a machine has a device."""

from typing import Any

import torch

from rh_lens.checks import refusal


def require_device(device: Any) -> torch.device:
    """The device of a name, if a model can run on it here.

    Args:
        device: Such as "cpu", "cuda", "cuda:1" or "mps", or a `torch.device`.

    Raises:
        TypeError: It is neither a string nor a `torch.device`.
        ValueError: There is no such device here, or it holds no numbers ("meta").

    Examples:
        >>> require_device("cpu")
        device(type='cpu')
    """
    wanted = 'a device of this machine, such as "cpu"'
    if not isinstance(device, (str, torch.device)):
        raise TypeError(refusal("device", wanted, device, "Pass its name as a string."))
    found = str(device)
    try:
        named = torch.device(device)
    except RuntimeError:
        raise ValueError(refusal("device", wanted, found, f"Use {_those_here()}.")) from None
    if obstacle := _obstacle(named):
        raise ValueError(refusal("device", wanted, found, f"{obstacle}: use {_those_here()}."))
    return named


def _obstacle(device: torch.device) -> str:
    """Why no model can run on a device; nothing where one can."""
    if device.type == "meta":
        return "It holds no numbers"
    if device.type == "cpu":
        return "There is one CPU device, cpu" if device.index else ""
    try:
        torch.zeros(1, device=device).cpu()
    # Each kind of device fails in its own way: AssertionError, RuntimeError, NotImplementedError.
    except Exception:
        return f"PyTorch {torch.__version__} can't use it here"
    return ""


def _those_here() -> str:
    """The names of the devices that PyTorch finds."""
    names = ["cpu"]
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is not None:
        n_devices = torch.accelerator.device_count()
        names += [f"{accelerator.type}:{index}" for index in range(min(n_devices, 8))]
    return " or ".join(f'"{name}"' for name in names)
