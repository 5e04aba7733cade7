"""A plain Hugging Face model on the weights of a bridge, or of another one."""

import copy

import torch
from torch import Tensor
from transformers import PreTrainedModel

from rh_lens.runtime import Bridge
from rh_lens.uses.model_shape import hf_model_of

_WRAPPER = "_original_component."
# Projections that a bridge computes with in parts, and the parts.
_FUSED = {
    **dict.fromkeys(("c_attn", "qkv_proj", "query_key_value"), ("q", "k", "v")),
    "gate_up_proj": ("gate", "in"),
}


def own_weights(model: PreTrainedModel | Bridge) -> dict[str, Tensor]:
    """Parameters and buffers by the names that Hugging Face gives them, also inside a bridge.

    Raises:
        TypeError: It is no model.
        ValueError: They are not all of them those that were loaded.
    """
    hf_model = hf_model_of(model)
    if getattr(model, "_weights_processed", False) or getattr(model, "compatibility_mode", False):
        raise _refused("weights that TransformerLens has processed", "Boot the bridge anew.")
    if getattr(hf_model, "hf_quantizer", None) is not None:
        raise _refused("quantised ones", "Load the model in its full precision.")
    weights: dict[str, Tensor] = {}
    for name, value in hf_model.state_dict(keep_vars=True).items():
        plain = name.replace(_WRAPPER, "")
        if value.is_meta:
            raise _refused(f"{plain} not in memory", "Load the model onto one device.")
        if not _same(weights.setdefault(plain, value), value):
            raise _refused(f"two values of {plain}", "Boot the bridge anew.")
    return weights


def plain_model(model: PreTrainedModel | Bridge) -> PreTrainedModel:
    """A Hugging Face model without hooks, on the very tensors of the given one.

    It is for saving: what is no weight, such as rotary frequencies, has no values.

    Args:
        model: A Hugging Face model, or a TransformerBridge.

    Raises:
        TypeError: It is no model.
        ValueError: Its weights are not those of its class: they are quantised, processed, sharded
            or were trained inside the bridge where Hugging Face does not see it.
    """
    hf_model, weights = hf_model_of(model), own_weights(model)
    with torch.device("meta"):
        plain = type(hf_model)(copy.deepcopy(hf_model.config))
    wanted = set(plain.state_dict())
    missing, more = wanted - set(weights), set(weights) - wanted
    if missing or (more and model is hf_model):
        odd = min(missing or more)
        raise _refused(f"{odd} {'missing' if missing else 'besides'}", "Merge or remove adapters.")
    _require_parts(weights)
    plain.load_state_dict({name: weights[name].detach() for name in wanted}, assign=True)
    plain.tie_weights()
    for name, value in plain.state_dict().items():
        if not _same(value, weights[name]):
            raise _refused(f"{name} tied to another value", "Set tie_word_embeddings to false.")
    plain.generation_config = copy.deepcopy(hf_model.generation_config)
    return plain


def _require_parts(weights: dict[str, Tensor]) -> None:
    """Refuse a bridge whose parts of a fused projection are no longer what the projection holds.

    They have the same numbers in another order, so their bits have the same sum.
    """
    for name, whole in weights.items():
        *path, module, kind = name.split(".")
        parts = [weights.get(".".join([*path, part, kind])) for part in _FUSED.get(module, ())]
        held = [part for part in parts if part is not None]
        if held and sum(map(_bit_sum, held)) != _bit_sum(whole):
            remedy = "Train the Hugging Face model, and boot a bridge from it afterwards."
            raise _refused(f"others in the bridge than in {name}", remedy)


def _bit_sum(value: Tensor) -> int:
    whole = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[value.itemsize]
    return int(value.detach().contiguous().view(whole).sum(dtype=torch.int64))


def _same(one: Tensor, other: Tensor) -> bool:
    return one.data_ptr() == other.data_ptr() or torch.equal(one, other)


def _refused(found: str, remedy: str) -> ValueError:
    return ValueError(
        f"Expected model to have the weights of its class, as loaded; found {found}. {remedy}"
    )
