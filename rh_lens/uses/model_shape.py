"""What a Hugging Face model's attention looks like, as far as its cache needs to know."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache, PreTrainedConfig, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from rh_lens.checks import refusal, require_tensor, require_whole_number
from rh_lens.runtime import Bridge


@dataclass(frozen=True, eq=False)
class AttentionShape:
    """Shape of a model's attention.

    Args:
        config: The text configuration.
        n_layers: Layers.
        n_heads: Query heads of a layer.
        n_groups: Key-value groups of a layer.
        d_head: Entries of a key.
        full_layers: Layers with full attention.
        dtype: Precision of keys and values.
    """

    config: PreTrainedConfig
    n_layers: int
    n_heads: int
    n_groups: int
    d_head: int
    full_layers: tuple[int, ...]
    dtype: torch.dtype

    def cache_bytes(
        self, windows: Float[Tensor, "layer group"], *, sink: int, n_tokens: int
    ) -> int:
        """Bytes of keys and values that layers with full attention keep after `n_tokens`.

        Args:
            windows: Positions that each group's queries see, themselves included; inf for all.
            sink: First positions that every group keeps.
            n_tokens: Positions that have passed, of one sequence.

        Raises:
            TypeError: An argument is of another type.
            ValueError: The windows don't fit, or a number is out of range.
        """
        require_windows(windows, self)
        require_whole_number("sink", sink, at_least=0)
        require_whole_number("n_tokens", n_tokens, at_least=1)
        kept = windows[list(self.full_layers)].clamp(max=n_tokens + 1) - 1 + sink
        per_position = 2 * self.d_head * self.dtype.itemsize
        return int(kept.clamp(max=n_tokens).sum().item()) * per_position


def hf_model_of(model: PreTrainedModel | Bridge) -> PreTrainedModel:
    """The Hugging Face model that is given, or that a bridge has inside.

    Raises:
        TypeError: It is neither.
    """
    hf_model = getattr(model, "original_model", model)
    if not isinstance(hf_model, PreTrainedModel) or not hasattr(hf_model, "generate"):
        wanted = "a Hugging Face model for causal language modelling, or a TransformerBridge"
        remedy = "Load one with AutoModelForCausalLM.from_pretrained(...) or load_model(...)."
        raise TypeError(refusal("model", wanted, model, remedy))
    return hf_model


def attention_shape(model: PreTrainedModel | Bridge) -> AttentionShape:
    """Shape of a model's attention, by its configuration.

    Args:
        model: A Hugging Face model, or a TransformerBridge.

    Raises:
        TypeError: It is no model.
        ValueError: Its attention can't be exchanged by name, or its cache is of another layout.

    Examples:
        >>> shape = attention_shape(model)
        >>> shape.n_layers, shape.n_heads, shape.n_groups
        (4, 8, 4)
    """
    model = hf_model_of(model)
    obstacle = hf_obstacle(model)
    if obstacle:
        raise ValueError(
            f"Expected a model whose attention can be exchanged; {obstacle}. "
            "Llama, Mistral, Qwen, Phi, GPT-NeoX and most others that run with SDPA can."
        )
    config = model.config.get_text_config(decoder=True)
    n_heads = config.num_attention_heads
    layers = DynamicCache(config=config).layers
    full = tuple(i for i, layer in enumerate(layers) if type(layer) is DynamicLayer)
    return AttentionShape(
        config,
        n_layers=config.num_hidden_layers,
        n_heads=n_heads,
        n_groups=getattr(config, "num_key_value_heads", None) or n_heads,
        d_head=getattr(config, "head_dim", None) or config.hidden_size // n_heads,
        full_layers=full,
        dtype=model.dtype,
    )


def hf_obstacle(model: PreTrainedModel) -> str | None:
    """Why a model's attention can't be exchanged; None when it can."""
    name = type(model).__name__
    config = model.config.get_text_config(decoder=True)
    if not getattr(model, "_supports_sdpa", False):
        return f"{name} has no SDPA"
    if not getattr(model, "_can_set_attn_implementation", bool)():
        return f"the attention of {name} does not go through the registry of attention functions"
    if getattr(config, "attn_logit_softcapping", None):
        return f"{name} caps its attention scores, which SDPA can't"
    n_layers, n_cached = config.num_hidden_layers, len(DynamicCache(config=config).layers)
    if n_cached != n_layers:
        return f"{name} has {n_layers} layers and a cache of {n_cached}"
    return None


def require_windows(windows: Float[Tensor, "layer group"], shape: AttentionShape) -> None:
    """Refuse windows that don't fit a model.

    Raises:
        TypeError: They are no tensor.
        ValueError: They have another shape, or one is below 1, NaN, or no whole number.
    """
    require_tensor("windows", windows, ("layer", "group"))
    wanted = [shape.n_layers, shape.n_groups]
    remedy = "Make them with windows_by_share(scores, n_kv_heads=..., share=...)."
    if list(windows.shape) != wanted:
        raise ValueError(
            f"Expected windows [layer group] of shape {wanted}; found {list(windows.shape)}. "
            + remedy
        )
    whole = windows.isinf() | (windows == windows.round())
    bad = windows[~(whole & (windows >= 1))]
    if len(bad):
        raise ValueError(
            "Expected windows to be whole numbers of positions from 1 on, or inf for all; found "
            f"{bad[0].item()}. {remedy}"
        )
