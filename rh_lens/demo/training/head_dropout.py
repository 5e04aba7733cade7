"""Dropout of whole attention heads, and of the attention of whole layers."""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from transformers import LlamaForCausalLM


class HeadDropout:
    """Silences heads of some layers at random while the model trains.

    No single head becomes indispensable, and where a layer's heads are silenced together, none of
    their layer. The heads that are left are not scaled up. What is silenced is drawn once a step,
    before the pass, so that the pass can be compiled.

    Args:
        model: The model; hooks are added before its output projections.
        layers: Indices of the layers.
    """

    def __init__(self, model: LlamaForCausalLM, layers: Sequence[int]):
        self._n_heads = model.config.num_attention_heads
        self._layers = tuple(layers)
        self.keep: Bool[Tensor, "layer document head"] | None = None
        for place, layer in enumerate(layers):
            attention = model.model.layers[layer].self_attn
            attention.o_proj.register_forward_pre_hook(partial(self._silence, place))

    def draw(self, n_documents: int, heads: float, attention: float = 0.0) -> None:
        """Draw what is silenced in the next passes of so many documents.

        Args:
            n_documents: Documents of a pass.
            heads: Chance of each head, for each document.
            attention: Chance that all heads of a layer but the model's first are, for each
                document.
        """
        if not heads and not attention:
            self.keep = None
            return
        keep = torch.rand(len(self._layers), n_documents, self._n_heads) >= heads
        if attention:
            whole = torch.rand(len(self._layers), n_documents, 1) >= attention
            keep &= whole | torch.tensor([layer == 0 for layer in self._layers])[:, None, None]
        self.keep = keep

    def _silence(self, place: int, module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor] | None:
        if not module.training or self.keep is None:
            return None
        (z,) = args
        keep = self.keep[place][:, None, :, None].to(z)
        return ((z.unflatten(-1, (self._n_heads, -1)) * keep).flatten(-2),)
