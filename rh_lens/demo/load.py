"""A bundled model as a TransformerBridge."""

from pathlib import Path

import torch

from rh_lens.checks import require_type
from rh_lens.demo.bundled import FIRST_MODEL, demo_folder
from rh_lens.runtime import Bridge, require_device, without_progress_bars
from rh_lens.runtime.model_files import require_name, telling_of


def load_demo_model(
    model: str | Path = FIRST_MODEL,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Bridge:
    """A bundled model: a small Llama with a few retrieval heads, for trying things out.

    Args:
        model: Its name, one of `demo_models()`; or the folder of another model of the same make,
            such as one that `rh_lens.demo.train` wrote. A folder that has a bundled model's name
            is written as a path: "./finder".
        device: Where to put it.
        dtype: Precision to run it in; the weights are stored in fp16.

    Raises:
        OSError: There is no such folder.
        TypeError: An argument is of another type.
        ValueError: There is no bundled model of this name, no such device, the model can't run in
            `dtype`, or its files are damaged.

    Examples:
        >>> load_demo_model().cfg.n_layers
        4
    """
    require_type("dtype", dtype, torch.dtype, remedy="Pass one such as torch.float32.")
    device = require_device(device)
    folder = demo_folder(model)
    require_name(folder)
    # Imported here because that takes several seconds.
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with telling_of(folder):
        with without_progress_bars():
            read = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, attn_implementation="eager"
            )
        tokenizer = AutoTokenizer.from_pretrained(folder)
        # A model in memory stays where it is when it is booted.
        bridge = TransformerBridge.boot_transformers(
            "rh-lens-demo",
            hf_model=read.to(device),
            tokenizer=tokenizer,
            device=device,
            dtype=dtype,
        )
    return bridge.eval()
