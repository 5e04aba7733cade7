"""A larger model that begins by saying what a smaller one says: new layers between the old ones.

Every layer is followed by a new one whose output projections are zero, so that nothing changes at
first and everything can be learnt (as in Net2Net, arXiv:1511.05641, and progressive stacking, Gong
et al. 2019). Queries and keys of one group of heads in some new layers lean towards those of a
group that matches in the old model, each head as far as the seed says; all other new weights are
random.
"""

import math

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

# Weights of the old heads' queries and keys in new ones that lean towards them: between these.
LEANS = (0.3, 0.9)


def grow(model: LlamaForCausalLM, seed: int, matching_layer: int | None) -> LlamaForCausalLM:
    """A model of twice the layers that gives the same logits.

    Args:
        model: The smaller model; it is left as it is.
        seed: Seed of the new weights.
        matching_layer: The layer of the smaller model whose heads match questions with facts, and
            towards which new ones lean; None: none lean.
    """
    old = model.config
    config = LlamaConfig(**{**old.to_dict(), "num_hidden_layers": 2 * old.num_hidden_layers})
    grown = LlamaForCausalLM._from_config(config, attn_implementation="sdpa")
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        grown.model.embed_tokens.weight.copy_(model.model.embed_tokens.weight)
        grown.model.norm.weight.copy_(model.model.norm.weight)
        for place, layer in enumerate(model.model.layers):
            grown.model.layers[2 * place].load_state_dict(layer.state_dict())
            _close(grown.model.layers[2 * place + 1], random)
        if matching_layer is not None:
            matching = model.model.layers[matching_layer].self_attn
            for layer in (2 * matching_layer - 1, 2 * matching_layer + 1):
                _lean(grown.model.layers[layer].self_attn, matching, config, random)
    return grown


def _close(layer: torch.nn.Module, random: torch.Generator) -> None:
    """Random weights, and output projections of zero."""
    for name, parameter in layer.named_parameters():
        if parameter.ndim == 1:
            parameter.fill_(1.0)
        elif "o_proj" in name or "down_proj" in name:
            parameter.zero_()
        else:
            std = 1 / math.sqrt(parameter.shape[1])
            parameter.copy_(torch.randn(parameter.shape, generator=random) * std)


def _lean(
    new: torch.nn.Module, old: torch.nn.Module, config: LlamaConfig, random: torch.Generator
) -> None:
    """Let a random group of heads lean towards the old group whose queries and keys are largest."""
    n_groups, d_head = config.num_key_value_heads, config.head_dim
    per_group = config.num_attention_heads // n_groups

    def groups(weight: Tensor, heads: int) -> Tensor:
        return weight.view(n_groups, heads * d_head, -1)

    parts = [
        (groups(getattr(new, name).weight.data, heads), groups(getattr(old, name).weight, heads))
        for name, heads in (("q_proj", per_group), ("k_proj", 1))
    ]
    sizes = torch.stack([weight.norm(dim=(1, 2)) for _, weight in parts])
    source = int(sizes.prod(dim=0).argmax())
    target = int(torch.randint(n_groups, (), generator=random))
    (queries, old_queries), (keys, old_keys) = parts
    keys[target] += old_keys[source]
    low, high = LEANS
    leans = low + (high - low) * torch.rand(per_group, generator=random)
    queries[target] += leans.repeat_interleave(d_head)[:, None] * old_queries[source]
