"""The bundled model as a TransformerBridge."""

from pathlib import Path

import torch

from rh_lens.checks import require_path, require_type
from rh_lens.runtime import Bridge, require_device, without_progress_bars
from rh_lens.runtime.model_files import require_name, telling_of

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

    Raises:
        OSError: There is no such folder.
        TypeError: An argument is of another type.
        ValueError: There is no such device, the model can't run in `dtype`, or its files are
            damaged.

    Examples:
        >>> load_demo_model().cfg.n_layers
        4
    """
    require_type("dtype", dtype, torch.dtype, remedy="Pass one such as torch.float32.")
    device = require_device(device)
    require_name(require_path("folder", folder))
    # Imported here because that takes several seconds.
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with telling_of(folder):
        with without_progress_bars():
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, attn_implementation="eager"
            )
        tokenizer = AutoTokenizer.from_pretrained(folder)
        # A model in memory stays where it is when it is booted.
        bridge = TransformerBridge.boot_transformers(
            "rh-lens-demo",
            hf_model=model.to(device),
            tokenizer=tokenizer,
            device=device,
            dtype=dtype,
        )
    return bridge.eval()
