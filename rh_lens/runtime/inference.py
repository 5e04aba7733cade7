"""Running a model to look at it, and leaving it as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rh_lens.runtime.bridge import Bridge, require_bridge


@contextmanager
def inference(model: Bridge) -> Iterator[None]:
    """Context in which `model` runs without dropout and without gradients.

    Afterwards every module has the training flag it had before, also where flags were mixed.
    Hooks are not touched. Contexts may be nested.

    Raises:
        TypeError: `model` is not a TransformerBridge.
    """
    require_bridge(model)
    # The bridge keeps the Hugging Face model outside its own module tree.
    modules = {*model.modules(), *model.original_model.modules()}
    training = [module for module in modules if module.training]
    try:
        for module in training:
            module.training = False
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True
