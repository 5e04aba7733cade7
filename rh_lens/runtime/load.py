"""Booting a TransformerBridge by name."""

import torch

from rh_lens.runtime.bridge import Bridge


def load_model(
    name: str,
    *,
    device: str | torch.device | None = None,
    dtype: torch.dtype = torch.float32,
    revision: str | None = None,
) -> Bridge:
    """A TransformerBridge of a model from the Hugging Face hub or from a folder, ready to answer.

    Args:
        name: Hub name such as "mistralai/Mistral-7B-v0.1", or a folder with model and tokenizer.
        device: None takes an accelerator if there is one.
        dtype: Precision of the weights.
        revision: Commit, tag or branch on the hub.

    Raises:
        OSError: There is no such model, or the hub cannot be reached.
    """
    # Imported here because that takes several seconds.
    from transformer_lens.model_bridge import TransformerBridge

    bridge = TransformerBridge.boot_transformers(
        name, device=device, dtype=dtype, revision=revision
    )
    return bridge.eval()
