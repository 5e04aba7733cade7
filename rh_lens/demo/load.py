"""The bundled model as a TransformerBridge."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from rh_lens.runtime import Bridge

DEMO_MODEL_FOLDER = Path(__file__).parent / "weights"
"""Folder of the bundled model in Hugging Face format."""


def load_demo_model(
    folder: str | Path = DEMO_MODEL_FOLDER,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Bridge:
    """The bundled model: a small Llama with a few retrieval heads, for trying things out.

    Args:
        folder: Another model of the same make, such as one that `rh_lens.demo.train` wrote.
        device: Where to put it.
        dtype: Precision to run it in; the weights are stored in fp16.
    """
    # Imported here because that takes several seconds.
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with _no_progress_bar():
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, attn_implementation="eager"
        )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    bridge = TransformerBridge.boot_transformers(
        "rh-lens-demo", hf_model=model, tokenizer=tokenizer, device=device, dtype=dtype
    )
    return bridge.eval()


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """While open, transformers shows no progress bar: this model loads in no time."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
