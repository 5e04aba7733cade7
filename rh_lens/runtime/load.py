"""Booting a TransformerBridge by name."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

import torch

from rh_lens.runtime.architecture import require_supported
from rh_lens.runtime.bridge import Bridge
from rh_lens.runtime.device import require_device


def load_model(
    name: str,
    *,
    device: str | torch.device | None = None,
    dtype: torch.dtype = torch.float32,
    revision: str | None = None,
    progress: bool = True,
) -> Bridge:
    """A TransformerBridge of a model from the Hugging Face hub or from a folder, ready to answer.

    Args:
        name: Hub name such as "mistralai/Mistral-7B-v0.1", or a folder with model and tokenizer.
        device: None takes an accelerator if there is one.
        dtype: Precision of the weights.
        revision: Commit, tag or branch on the hub.
        progress: Whether to show how far the weights are loaded.

    Raises:
        OSError: There is no such model, or the hub cannot be reached.
        ValueError: There is no such device, or the architecture can't be searched: see
            `require_supported`.
    """
    if device is not None:
        device = require_device(device)
    # Imported here because that takes several seconds.
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import AutoConfig

    # TransformerLens knows names of its own, which Hugging Face does not.
    with suppress(OSError):
        require_supported(AutoConfig.from_pretrained(name, revision=revision))
    with nullcontext() if progress else without_progress_bars():
        bridge = TransformerBridge.boot_transformers(
            name, device=device, dtype=dtype, revision=revision
        )
    return bridge.eval()


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Context in which transformers shows no progress bar."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
