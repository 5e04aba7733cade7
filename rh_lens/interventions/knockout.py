"""Cutting attention edges."""

from collections.abc import Sequence
from numbers import Integral

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rh_lens.checks import require_flag, require_list, require_whole_number
from rh_lens.heads import HeadsLike, as_heads
from rh_lens.interventions.editing import HeadEdit, Hooks, edit_scores, heads_by_layer
from rh_lens.interventions.uniform import uniform_attention, visible_keys
from rh_lens.runtime import AttentionWindow, Bridge, architecture_of


def knock_out_edges(
    model: Bridge,
    heads: HeadsLike,
    keys: tuple[int, int] | Sequence[int],
    *,
    keeps_all_keys: bool | None = None,
) -> Hooks:
    """Forward hooks that cut the listed heads' attention from a pass's rows to the given keys.

    The scores become minus infinity before the softmax, so that the rest of what the row sees gets
    the weight. As decoding hooks, they cut the answer off from a needle, in these heads only:

        hooks = knock_out_edges(model, heads, prompt.answer_span)
        greedy_decode(model, prompt.tokens, stop=stop, decode_hooks=hooks)

    A key that a row can't see is no edge: beyond a sliding window nothing changes.

    Args:
        model: A TransformerBridge; it runs a few tokens, to see that edits of scores act.
        heads: Query heads, in any notation of `as_heads`; none gives no hook.
        keys: Absolute positions: a half-open span as a tuple (start, stop), or a list of positions.
        keeps_all_keys: Whether the key axis is the whole context also in layers with a sliding
            window: True in this project's runtime, whose caches are plain; False in
            `model.generate`. Must be said where a listed head has a window.

    Returns:
        One (hook name, function) for each layer, at `hook_attn_scores`. The function raises
        ValueError for a batch of several prompts, for a key after the context, for a row that
        would see nothing any more, and where a window hides which position a key has.

    Raises:
        TypeError: `model` is not a TransformerBridge.
        ValueError: The model has no such head, edits of attention have no effect in it, the keys
            are none or negative, or `keeps_all_keys` must be said.

    Examples:
        >>> hooks = knock_out_edges(model, heads, prompt.answer_span)
        >>> greedy_decode(model, prompt.tokens, stop=stop).text
        ' velvet comet eleven.'
        >>> greedy_decode(model, prompt.tokens, stop=stop, decode_hooks=hooks).text != needle.answer
        True
    """
    if keeps_all_keys is not None:
        require_flag("keeps_all_keys", keeps_all_keys)
    heads, positions = as_heads(heads), key_positions(keys)
    # What makes attention uniform there can cut it as well.
    uniform_attention(model, heads)
    windows = cutting_windows(model, heads, keeps_all_keys)
    dtype = model.cfg.dtype

    def edit_of(layer: int) -> HeadEdit:
        def cut(scores: Float[Tensor, "batch head query key"]) -> Tensor:
            require_positions(layer, scores, positions, windows.get(layer))
            kept = scores.clone()
            kept[..., positions] = -torch.inf
            _require_a_key(layer, visible_keys(scores, dtype), visible_keys(kept, dtype))
            return kept

        return cut

    return edit_scores(heads, edit_of)


def key_positions(keys: tuple[int, int] | Sequence[int]) -> list[int]:
    """Key positions, sorted."""
    if isinstance(keys, tuple):
        require_list("keys", keys, Integral)
        if len(keys) != 2 or keys[0] >= keys[1]:
            raise ValueError(
                f"Expected keys as a span (start, stop) with start < stop; found {keys}. Pass "
                "positions that are no span as a list."
            )
        keys = range(*keys)
    remedy = "Positions count from the first token of the prompt."
    positions = require_list("keys", keys, Integral, at_least=1, remedy=remedy)
    require_whole_number("keys", min(positions), at_least=0, remedy=remedy)
    return sorted({int(key) for key in positions})


def cutting_windows(
    model: Bridge, heads: HeadsLike, keeps_all_keys: bool | None
) -> dict[int, AttentionWindow]:
    """Windows of the layers whose key axis may lack keys beyond a window."""
    every = architecture_of(model).windows
    windows = {
        layer: every[layer]
        for layer in heads_by_layer(heads)
        if every[layer].cut_key_length(1) is not None
    }
    if windows and keeps_all_keys is None:
        raise ValueError(
            f"Expected to know whether keys beyond the sliding windows of the layers "
            f"{list(windows)} stay in the cache; found keeps_all_keys=None. Pass True where this "
            "project's runtime decodes, and False around model.generate."
        )
    return {} if keeps_all_keys else windows


def require_positions(
    layer: int,
    scores: Float[Tensor, "batch head query key"],
    positions: Sequence[int],
    window: AttentionWindow | None,
) -> None:
    """Refuse scores whose key axis does not hold the positions at their own places."""
    batch, _, n_query, n_key = scores.shape
    if batch != 1:
        raise ValueError(
            f"Expected one prompt at a time; found a batch of {batch} in layer {layer}. Padding "
            "would shift the positions: run the prompts one after another."
        )
    if window is not None and n_query < n_key == window.cut_key_length(n_query):
        raise ValueError(
            f"Expected a key axis that is the whole context; found {n_key} keys in layer {layer}, "
            "as many as its sliding window leaves in the cache, so that their positions are "
            "unknown. Decode with a plain DynamicCache() and pass keeps_all_keys=True."
        )
    if positions[-1] >= n_key:
        raise ValueError(
            f"Expected key positions below {n_key}, the context of this pass; found "
            f"{positions[-1]}. Hold the hooks open while the answer is decoded, not while the "
            "prompt is read."
        )


def _require_a_key(
    layer: int,
    before: Bool[Tensor, "batch head query key"],
    after: Bool[Tensor, "batch head query key"],
) -> None:
    """Refuse rows of which every visible key was cut: their softmax would mean nothing."""
    lost = before.any(dim=-1) & ~after.any(dim=-1)
    if lost.any():
        n_query, n_key = before.shape[-2:]
        rows = (lost.any(dim=1)[0].nonzero().flatten() + n_key - n_query).tolist()
        raise ValueError(
            f"Expected every row to keep a key; found that the rows at the positions {rows[:5]} "
            f"see no other in layer {layer}. Cut fewer keys, or silence the heads with "
            "zero_ablation."
        )
