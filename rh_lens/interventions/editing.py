"""Editing what chosen heads compute, at a hook point."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.runtime import Bridge, attention_layers, inference, input_device, without_hooks

Hooks: TypeAlias = list[tuple[str, Callable[..., Any]]]
# Gives the new values of some heads of a layer from their values so far.
HeadEdit: TypeAlias = Callable[[Tensor], Tensor]

# Tokens of the pass on which edits are tried out: fewer than any window has.
_N_PROBE = 4


def heads_by_layer(heads: HeadsLike) -> dict[int, list[int]]:
    """Indices of the heads of each layer, sorted, each once."""
    by_layer: dict[int, list[int]] = {}
    for head in sorted(set(as_heads(heads))):
        by_layer.setdefault(head.layer, []).append(head.head)
    return by_layer


def edit_outputs(
    heads: HeadsLike,
    edit_of: Callable[[int, list[int]], HeadEdit],
    n_heads: Mapping[int, int],
) -> Hooks:
    """Hooks that edit the outputs of heads, z, before the output projection.

    Args:
        heads: Which ones.
        edit_of: Makes the edit of a layer's heads, by their indices; it is called with their
            outputs `[batch pos head d_head]`.
        n_heads: Heads in each layer, where known; others are as TransformerLens splits them.
    """
    return [
        (
            f"blocks.{layer}.attn.hook_z",
            _OutputHook(layer, own, edit_of(layer, own), n_heads.get(layer)),
        )
        for layer, own in heads_by_layer(heads).items()
    ]


def edit_scores(heads: HeadsLike, edit_of: Callable[[int], HeadEdit]) -> Hooks:
    """Hooks that edit the attention scores of heads, masked and before the softmax.

    Args:
        heads: Which ones.
        edit_of: Makes the edit of a layer; it is called with scores `[batch head query key]`.
    """
    return [
        (f"blocks.{layer}.attn.hook_attn_scores", _ScoreHook(layer, own, edit_of(layer)))
        for layer, own in heads_by_layer(heads).items()
    ]


def split_heads(
    z: Float[Tensor, "batch pos *head"], hook: Any, n_heads: int | None = None
) -> Float[Tensor, "batch pos head d_head"]:
    """Outputs of a layer's heads, with the heads on their own axis.

    TransformerLens divides the width of z by the model's d_head, which is another one where values
    have a size of their own (multi-head latent attention).

    Args:
        z: What arrived at `hook_z`.
        hook: The hook point.
        n_heads: Heads in the layer. None: as TransformerLens splits z.
    """
    if n_heads is None:
        conversion = getattr(hook, "hook_conversion", None)
        n_heads = int(getattr(conversion, "n_heads", z.shape[2]))
    return z.reshape(*z.shape[:2], n_heads, -1)


def head_counts(model: Bridge) -> dict[int, int]:
    """Query heads in each layer with attention.

    Raises:
        TypeError: `model` is not a TransformerBridge.
        ValueError: No layer has attention.
    """
    counts: dict[int, int] = {}
    layers, points = attention_layers(model), model.hook_dict
    for layer in layers:
        latent = f"blocks.{layer}.attn.hook_kv_latent" in points
        conversion = getattr(points.get(f"blocks.{layer}.attn.hook_z"), "hook_conversion", None)
        own = None if latent else getattr(conversion, "n_heads", None)
        counts[layer] = int(own or model.cfg.n_heads)
    return counts


def require_heads(heads: HeadsLike, n_heads: Mapping[int, int]) -> None:
    """Refuse heads that are not among the layers' own.

    Raises:
        ValueError: A head is in a layer without attention, or beyond the layer's last head.
    """
    for layer, own in heads_by_layer(heads).items():
        if layer not in n_heads:
            raise ValueError(
                f"Expected heads in the layers {sorted(n_heads)}, which have attention; found "
                f"{Head(layer, own[0])}. Check that the heads belong to this model."
            )
        _require_head(layer, own, n_heads[layer])


def probe_patterns(model: Bridge, hooks: Hooks) -> dict[int, Float[Tensor, "head query key"]]:
    """Attention of every layer that computes a pattern, on a few tokens, under these hooks alone.

    Hooks that are open on the model are not called.
    """
    patterns: dict[int, Tensor] = {}

    def keep(pattern: Float[Tensor, "batch head query key"], hook: Any) -> None:
        patterns[hook.layer()] = pattern[0].float()

    listening = [(f"blocks.{layer}.attn.hook_pattern", keep) for layer in attention_layers(model)]
    tokens = torch.arange(_N_PROBE, device=input_device(model))[None]
    with inference(model), without_hooks(model), warnings.catch_warnings():
        # TransformerLens warns of edits it discards; finding them is what this pass is for.
        warnings.simplefilter("ignore")
        with model.hooks(fwd_hooks=[*hooks, *listening]):
            model(tokens, return_type=None)
    return patterns


class _OutputHook:
    """Hook that edits the outputs of some heads of a layer. It can be pickled, as a closure can't.

    Args:
        layer: The layer.
        indices: The heads, sorted.
        edit: Gives their new outputs.
        n_heads: Heads in the layer; None: as TransformerLens splits them.
    """

    def __init__(self, layer: int, indices: list[int], edit: HeadEdit, n_heads: int | None) -> None:
        self.layer, self.indices, self.edit, self.n_heads = layer, indices, edit, n_heads

    def __call__(self, z: Float[Tensor, "batch pos *head"], hook: Any) -> Tensor:
        outputs = split_heads(z, hook, self.n_heads).clone()
        _require_head(self.layer, self.indices, outputs.shape[2])
        outputs[:, :, self.indices] = self.edit(outputs[:, :, self.indices])
        return outputs.reshape(z.shape)


class _ScoreHook:
    """Hook that edits the attention scores of some heads of a layer; it can be pickled too.

    Args:
        layer: The layer.
        indices: The heads, sorted.
        edit: Gives their new scores.
    """

    def __init__(self, layer: int, indices: list[int], edit: HeadEdit) -> None:
        self.layer, self.indices, self.edit = layer, indices, edit

    def __call__(
        self, scores: Float[Tensor, "batch head query key"], hook: Any
    ) -> Float[Tensor, "batch head query key"]:
        _require_head(self.layer, self.indices, scores.shape[1])
        edited = scores.clone()
        edited[:, self.indices] = self.edit(scores[:, self.indices])
        return edited


def _require_head(layer: int, indices: list[int], n_heads: int) -> None:
    """Refuse sorted indices of which the last is beyond the layer's heads."""
    if indices[-1] >= n_heads:
        raise ValueError(
            f"Expected heads below {n_heads} in layer {layer}; found head {indices[-1]}. "
            "Check that the heads belong to this model."
        )
