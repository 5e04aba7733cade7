"""What a head would write if it looked at one token, read as logits."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rh_lens.interventions.editing import head_counts
from rh_lens.runtime import Bridge, inference, must_fire, open_context, without_hooks

# Logits held at once, in numbers.
_MAX_LOGITS = 2**24


def values_at(
    model: Bridge, tokens: Int[Tensor, " pos"], positions: Sequence[int]
) -> dict[int, Float[Tensor, "place head d_head"]]:
    """Value vectors of some tokens, by layer, for every query head.

    What a head hands on of a token it looks at. Under grouped-query attention the query heads of a
    group share one.

    Args:
        model: A TransformerBridge.
        tokens: Token ids.
        positions: Which of them.

    Raises:
        ValueError: The model has latent attention (DeepSeek), whose values are not heads'.
    """
    counts = head_counts(model)
    found: dict[int, list[Tensor]] = {layer: [] for layer in counts}
    n_read = dict.fromkeys(counts, 0)
    wanted = torch.tensor(list(positions))

    def keep(v: Float[Tensor, "batch pos kv_head d_head"], hook: Any) -> None:
        layer = hook.layer()
        here = wanted[(wanted >= n_read[layer]) & (wanted < n_read[layer] + v.shape[1])]
        found[layer].append(v[0, (here - n_read[layer]).to(v.device)])
        n_read[layer] += v.shape[1]

    if any(f"blocks.{layer}.attn.hook_kv_latent" in model.hook_dict for layer in counts):
        raise ValueError(
            f"Expected heads with values of their own; found latent attention in "
            f"{model.cfg.model_name!r}, where hook_v has another form. Use detectors that read "
            "attention."
        )
    hooks = [(f"blocks.{layer}.attn.hook_v", keep) for layer in counts]
    with inference(model), must_fire(hooks) as watched, model.hooks(fwd_hooks=list(watched)):
        open_context(model, tokens, longest=len(tokens), cuts_back=False).reach(tokens)
    values = {layer: torch.cat(parts) for layer, parts in found.items()}
    return {
        layer: v.repeat_interleave(counts[layer] // v.shape[1], dim=1)
        for layer, v in values.items()
    }


def output_matrix(model: Bridge, layer: int, n_heads: int) -> Float[Tensor, "head d_head d_model"]:
    """What a layer's output projection makes of each head's outputs, without its bias."""
    project = model.blocks[layer].attn.o.original_component
    point = next(project.parameters())
    n_in = _width(project)
    unit = torch.eye(n_in, device=point.device, dtype=point.dtype)
    matrix = project(unit) - project(torch.zeros_like(unit[:1]))
    return matrix.reshape(n_heads, n_in // n_heads, -1)


def written_logits(
    model: Bridge, layer: int, outputs: Float[Tensor, "place head d_head"]
) -> Float[Tensor, "place head d_vocab"]:
    """Logits of what heads write alone: outputs through projection, final norm and unembedding.

    The order of the logits is that of the head's direct effect: the norm of the true stream would
    scale all alike. Where a norm comes after the output projection (Gemma 2) it is left out.
    """
    matrix = output_matrix(model, layer, outputs.shape[1])
    written = torch.einsum("phd,hdm->phm", outputs.to(matrix.dtype), matrix)
    with without_hooks(model):
        return model.unembed(model.ln_final(written)).float()


def own_token_extremes(
    model: Bridge, tokens: Int[Tensor, " pos"], positions: Sequence[int], k: int
) -> tuple[dict[int, Bool[Tensor, "place head"]], dict[int, Bool[Tensor, "place head"]]]:
    """Whether each head, looking at a token, puts its logit among the k highest, or the k lowest.

    Args:
        model: A TransformerBridge.
        tokens: Token ids.
        positions: Which of them it looks at.
        k: Size of both ends.

    Returns:
        By layer: among the highest, among the lowest. Equal logits are neither above nor below.
    """
    highest, lowest = {}, {}
    own = tokens[list(positions)]
    for layer, values in values_at(model, tokens, positions).items():
        n_at_once = max(1, _MAX_LOGITS // (values.shape[1] * int(model.cfg.d_vocab)))
        high, low = [], []
        for start in range(0, len(values), n_at_once):
            with inference(model):
                logits = written_logits(model, layer, values[start : start + n_at_once])
            wanted = own[start : start + n_at_once].to(logits.device)
            index = wanted[:, None, None].expand(-1, logits.shape[1], 1)
            mine = logits.gather(-1, index)
            high.append((logits > mine).sum(dim=-1) < k)
            low.append((logits < mine).sum(dim=-1) < k)
        highest[layer], lowest[layer] = torch.cat(high).cpu(), torch.cat(low).cpu()
    return highest, lowest


def by_layer(model: Bridge, rows: dict[int, Float[Tensor, " head"]]) -> Float[Tensor, "layer head"]:
    """Numbers of the layers with attention at their place in the model, NaN elsewhere."""
    width = max(len(row) for row in rows.values())
    table = torch.full((int(model.cfg.n_layers), width), torch.nan, dtype=torch.float64)
    for layer, row in rows.items():
        table[layer, : len(row)] = row.double()
    return table


def _width(project: Any) -> int:
    """Numbers that an output projection takes in; Conv1D of GPT-2 has its weight transposed."""
    n_in = getattr(project, "in_features", None) or getattr(project, "nx", None)
    return int(n_in or project.weight.shape[0])
