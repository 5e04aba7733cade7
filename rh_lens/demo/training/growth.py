"""A larger model that begins by saying what a smaller one says: new layers between the old ones.

Every layer is followed by a new one whose output projections are zero, so that nothing changes at
first and everything can be learnt (as in Net2Net, arXiv:1511.05641, and progressive stacking, Gong
et al. 2019). With a lean, one of the two groups of heads that match in the old model moves to the
new layer before it, and groups in later new layers lean towards the one that stays, each head as
far as the seed says; all other new weights are random.
"""

import math

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaDecoderLayer

# Weights of the old heads' queries in new ones that lean towards them, between these; keys are
# added whole.
LEANS = (0.3, 0.9)
# New layers after the matching one, by how many layers later, and their groups that lean.
LEANING_GROUPS = {1: 2, 3: 1}


def grow(model: LlamaForCausalLM, seed: int, matching_layer: int | None) -> LlamaForCausalLM:
    """A model of twice the layers that gives the same logits, or with a lean nearly the same.

    Args:
        model: The smaller model; it is left as it is.
        seed: Seed of the new weights.
        matching_layer: The layer of the smaller model, from 1 on, whose heads match questions with
            facts: one of its groups moves a layer down, and new heads lean towards the other;
            None: none move and none lean.
    """
    old = model.config
    config = LlamaConfig(**{**old.to_dict(), "num_hidden_layers": 2 * old.num_hidden_layers})
    grown = LlamaForCausalLM._from_config(config, attn_implementation="sdpa")
    random = torch.Generator().manual_seed(seed)
    layers = grown.model.layers
    with torch.no_grad():
        grown.model.embed_tokens.weight.copy_(model.model.embed_tokens.weight)
        grown.model.norm.weight.copy_(model.model.norm.weight)
        for place, layer in enumerate(model.model.layers):
            layers[2 * place].load_state_dict(layer.state_dict())
            _close(layers[2 * place + 1], random)
        if matching_layer is not None:
            _spread(layers, 2 * matching_layer, config, random)
    return grown


def _spread(
    layers: nn.ModuleList, matching: int, config: LlamaConfig, random: torch.Generator
) -> None:
    """Move one matching group to the layer before; groups of later layers lean to the other."""
    attention = layers[matching].self_attn
    stays, moves = _matching_groups(attention, config)
    _move(layers[matching], layers[matching - 1], moves, config, random)
    for later, n_groups in LEANING_GROUPS.items():
        if matching + later < len(layers):
            targets = torch.randperm(config.num_key_value_heads, generator=random)
            for target in targets[:n_groups].tolist():
                new = layers[matching + later].self_attn
                _lean(new, target, attention, stays, config, random)


def _close(layer: nn.Module, random: torch.Generator) -> None:
    """Random weights, and output projections of zero."""
    for name, parameter in layer.named_parameters():
        if parameter.ndim == 1:
            parameter.fill_(1.0)
        elif "o_proj" in name or "down_proj" in name:
            parameter.zero_()
        else:
            std = 1 / math.sqrt(parameter.shape[1])
            parameter.copy_(torch.randn(parameter.shape, generator=random) * std)


def _matching_groups(attention: LlamaAttention, config: LlamaConfig) -> tuple[int, int]:
    """The two groups of heads whose queries and keys are largest, the largest first."""
    sizes = torch.stack(
        [
            _of_group(attention.q_proj.weight, group, config).norm()
            * _of_group(attention.k_proj.weight, group, config).norm()
            for group in range(config.num_key_value_heads)
        ]
    )
    first, second = sizes.topk(2).indices.tolist()
    return first, second


def _of_group(weight: Tensor, group: int, config: LlamaConfig) -> Tensor:
    """The rows of a projection that belong to a group of heads: a view."""
    return weight.view(config.num_key_value_heads, -1, weight.shape[1])[group]


def _move(
    layer: LlamaDecoderLayer,
    before: LlamaDecoderLayer,
    group: int,
    config: LlamaConfig,
    random: torch.Generator,
) -> None:
    """Let a group of heads do its work in the layer before; its place is as in a new layer."""
    before.input_layernorm.weight.copy_(layer.input_layernorm.weight)
    for name in ("q_proj", "k_proj", "v_proj"):
        old = _of_group(getattr(layer.self_attn, name).weight, group, config)
        _of_group(getattr(before.self_attn, name).weight, group, config).copy_(old)
        old.copy_(torch.randn(old.shape, generator=random) / math.sqrt(old.shape[1]))
    # The output projection has a group's heads in its columns.
    old = _of_group(layer.self_attn.o_proj.weight.T, group, config)
    _of_group(before.self_attn.o_proj.weight.T, group, config).copy_(old)
    old.zero_()


def _lean(
    new: LlamaAttention,
    target: int,
    old: LlamaAttention,
    source: int,
    config: LlamaConfig,
    random: torch.Generator,
) -> None:
    """Let a group of heads lean towards an old one, each of its heads by a weight of its own."""
    keys = _of_group(new.k_proj.weight, target, config)
    keys += _of_group(old.k_proj.weight, source, config)
    queries = _of_group(new.q_proj.weight, target, config)
    old_queries = _of_group(old.q_proj.weight, source, config)
    low, high = LEANS
    n_heads = config.num_attention_heads // config.num_key_value_heads
    leans = low + (high - low) * torch.rand(n_heads, generator=random)
    queries += leans.repeat_interleave(len(queries) // n_heads)[:, None] * old_queries
