"""Attention that looks everywhere alike."""

from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rh_lens.heads import HeadsLike, as_heads
from rh_lens.interventions.editing import (
    Hooks,
    edit_scores,
    head_counts,
    heads_by_layer,
    probe_patterns,
    require_heads,
)
from rh_lens.runtime import Bridge


def uniform_attention(model: Bridge, heads: HeadsLike) -> Hooks:
    r"""Forward hooks that make the listed heads attend to all visible positions alike.

    Scores of visible positions become 0 before the softmax; masked ones stay masked, whatever masks
    them: causality, sliding windows, chunks, padding. So a row that sees $n$ keys gives each $1/n$,
    and $1/(n + e^s)$ where the head has an attention sink of logit $s$ (gpt-oss), which keeps its
    share. The published code of Wu et al. (arXiv:2404.15574) does this to heads, calls it masking
    and does it in decoding only; it zeroes the query, which is the same wherever the scores are
    made of the query alone. ALiBi adds to them what depends on the distance: that goes too.

    Args:
        model: A TransformerBridge; it runs a few tokens, to see that edits of scores act.
        heads: Query heads, in any notation of `as_heads`; none gives no hook.

    Returns:
        One (hook name, function) for each layer, at `hook_attn_scores`. Where these are open while
        a prompt is read, attention is eager instead of SDPA.

    Raises:
        TypeError: `model` is not a TransformerBridge.
        ValueError: The model has no such head, or edits of attention have no effect in it.

    Examples:
        >>> hooks = uniform_attention(model, heads)
        >>> [name for name, _ in hooks]
        ['blocks.2.attn.hook_attn_scores']
        >>> needle_recall(model, new_prompts, {"uniform": hooks}, progress=False)
        RecallResult(4 prompts; mean recall: uniform 0.04)
    """
    heads = as_heads(heads)
    require_heads(heads, head_counts(model))
    level = partial(_level, model.cfg.dtype)
    hooks = edit_scores(heads, lambda layer: level)
    if hooks:
        _require_uniform(model, heads, probe_patterns(model, hooks))
    return hooks


def _level(
    dtype: torch.dtype, scores: Float[Tensor, "batch head query key"]
) -> Float[Tensor, "batch head query key"]:
    """Scores of 0 wherever a key is visible."""
    return scores.masked_fill(visible_keys(scores, dtype), 0.0)


def visible_keys(
    scores: Float[Tensor, "batch head query key"], dtype: torch.dtype
) -> Bool[Tensor, "batch head query key"]:
    """Keys that masked scores leave visible.

    Masks are the most negative number of the model's precision, sometimes divided by the root of
    d_head afterwards, or minus infinity; no score of a visible key comes near.

    Args:
        scores: Masked attention scores.
        dtype: Precision of the model.
    """
    return scores > -(torch.finfo(dtype).max ** 0.9)


def _require_uniform(
    model: Bridge,
    heads: HeadsLike,
    patterns: dict[int, Float[Tensor, "head query key"]],
) -> None:
    """Refuse a model whose short pass shows that edits of scores do not reach the pattern."""
    lost = [
        layer
        for layer, indices in heads_by_layer(heads).items()
        if layer not in patterns or not _is_uniform(patterns[layer][indices])
    ]
    if lost:
        attention = type(model.blocks[lost[0]].attn).__name__
        raise ValueError(
            f"Expected attention that hooks can edit before its softmax; found that {attention} of "
            f"{model.cfg.model_name!r} discards such edits in the layers {lost}: TransformerLens "
            "leaves the attention of some architectures to Hugging Face (OPT, GPT-J, GPT-Neo, "
            "Llama 4 ...). Use an operator that acts after it, such as zero_ablation."
        )


def _is_uniform(pattern: Float[Tensor, "head query key"]) -> bool:
    """Whether every row has the same weight on each key up to its own, and none after it."""
    expected = pattern[..., :1].expand_as(pattern).tril()
    return bool((pattern[..., 0] > 0).all()) and torch.allclose(pattern, expected, rtol=1e-2)
