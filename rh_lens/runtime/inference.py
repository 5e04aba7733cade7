"""Running a model to look at it, and leaving it as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rh_lens.runtime.architecture import Bridge
from rh_lens.runtime.exclusive import exclusive_use


@contextmanager
def inference(model: Bridge) -> Iterator[None]:
    """Context in which `model` runs without dropout and without gradients.

    Afterwards every module has the training flag it had before, also where flags were mixed.
    Hooks are not touched. Contexts may be nested, within one thread.

    Raises:
        ModelInUseError: Another thread is using the model.
        TypeError: `model` is not a TransformerBridge.

    Examples:
        >>> with inference(model):
        ...     torch.is_grad_enabled()
        False
    """
    with exclusive_use(model):
        # The bridge keeps the Hugging Face model outside its own module tree.
        modules = all_modules(model, model.original_model)
        training = [module for module in modules if module.training]
        try:
            for module in training:
                module.training = False
            with torch.inference_mode():
                yield
        finally:
            for module in training:
                module.training = True


def all_modules(*roots: torch.nn.Module) -> list[torch.nn.Module]:
    """Modules below some roots, each once.

    What `torch.nn.Module.modules` gives, in a quarter of its time: it is asked several times for
    each answer. Nothing is remembered, as modules may be exchanged between two answers.
    """
    found: dict[torch.nn.Module, None] = {}
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found[module] = None
            waiting += [child for child in module._modules.values() if child is not None]
    return list(found)
