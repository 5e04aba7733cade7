"""Dropout of whole attention heads, so that no single head is indispensable."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM


class HeadDropout:
    """Silences heads of some layers at random while the model trains.

    The heads that are left are not scaled up.

    Args:
        model: The model; hooks are added before its output projections.
        layers: Indices of the layers.
    """

    def __init__(self, model: LlamaForCausalLM, layers: Iterable[int]):
        self.chance = 0.0
        self._n_heads = model.config.num_attention_heads
        for layer in layers:
            model.model.layers[layer].self_attn.o_proj.register_forward_pre_hook(self._silence)

    def _silence(self, module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor] | None:
        (z,) = args
        if not module.training or self.chance == 0:
            return None
        keep = torch.rand(len(z), 1, self._n_heads, 1) >= self.chance
        return ((z.unflatten(-1, (self._n_heads, -1)) * keep.to(z)).flatten(-2),)
