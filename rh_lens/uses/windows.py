"""Which key-value groups keep the whole context, and how much the others keep."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rh_lens.analysis import kv_group_means
from rh_lens.checks import require_number, require_tensor, require_type, require_whole_number
from rh_lens.uses.model_shape import AttentionShape, require_windows


def group_scores(
    scores: Float[Tensor, "layer head"], n_kv_heads: int
) -> Float[Tensor, "layer group"]:
    """Score of each key-value group: the highest of its query heads' scores, 0 where all are NaN.

    Args:
        scores: Retrieval scores of all heads, such as `result.scores.mean()`.
        n_kv_heads: Key-value groups of a layer.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The groups don't divide the heads.

    Examples:
        >>> group_scores(scores.mean(), n_kv_heads=4)[2].round(decimals=2)
        tensor([0.0600, 1.0000, 1.0000, 0.0200], dtype=torch.float64)
    """
    require_tensor("scores", scores, ("layer", "head"))
    grouped = kv_group_means(scores.double().cpu().numpy(), n_kv_heads)
    return torch.from_numpy(grouped).nan_to_num(nan=0.0)


def windows_by_share(
    scores: Float[Tensor, "layer group"], share: float, *, recent: int = 64
) -> Float[Tensor, "layer group"]:
    """Windows that keep the whole context in a share of the groups, those with the best scores.

    Args:
        scores: Score of each group, see `group_scores`. Ties go by layer, then by group.
        share: Share of all groups, 0 to 1; what is not whole is rounded up.
        recent: Window of the others, in tokens.

    Returns:
        inf where everything is kept, and `recent` elsewhere.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The share is outside 0 to 1, or the window below 1.

    Examples:
        >>> windows_by_share(torch.tensor([[0.9, 0.1], [0.0, 0.2]]), 0.5, recent=32)
        tensor([[inf, 32.],
                [32., inf]], dtype=torch.float64)
    """
    require_tensor("scores", scores, ("layer", "group"))
    require_number("share", share, at_least=0, at_most=1)
    # Rounding noise of 0.1 x 30 is no group more.
    n_kept = math.ceil(share * scores.numel() - 1e-9)
    return _windows(_best(scores, n_kept), recent)


def windows_above(
    scores: Float[Tensor, "layer group"], threshold: float, *, recent: int = 64
) -> Float[Tensor, "layer group"]:
    """Windows that keep the whole context in the groups with at least a certain score.

    Args:
        scores: Score of each group, see `group_scores`.
        threshold: The least score of a group that keeps everything.
        recent: Window of the others, in tokens.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The threshold is NaN, or the window below 1.

    Examples:
        >>> windows_above(group_scores(scores.mean(), 4), 0.1, recent=32)[2]
        tensor([32., inf, inf, 32.], dtype=torch.float64)
    """
    require_tensor("scores", scores, ("layer", "group"))
    require_number("threshold", threshold)
    return _windows(scores >= threshold, recent)


def windows_within(
    scores: Float[Tensor, "layer group"],
    n_bytes: int,
    shape: AttentionShape,
    *,
    n_tokens: int,
    sink: int = 4,
    recent: int = 64,
) -> Float[Tensor, "layer group"]:
    """Windows that keep the whole context in as many groups as a number of bytes allows.

    Args:
        scores: Score of each group, see `group_scores`.
        n_bytes: Bytes that the cache of a sequence may take in layers with full attention.
        shape: The model's, see `attention_shape`.
        n_tokens: Length of the sequence, answer included.
        sink: First positions that every group keeps.
        recent: Window of the others, in tokens.

    Raises:
        TypeError: An argument is of another type.
        ValueError: Not even the windows fit, or an argument is out of range.

    Examples:
        >>> groups = group_scores(scores.mean(), 4)
        >>> shape = attention_shape(model)
        >>> windows = windows_within(groups, 300_000, shape, n_tokens=256, recent=32)
        >>> windows.isinf().sum().item()
        2
    """
    require_tensor("scores", scores, ("layer", "group"))
    require_type("shape", shape, AttentionShape, remedy="Take it from attention_shape(model).")
    require_whole_number("sink", sink, at_least=0)
    require_whole_number("n_bytes", n_bytes, at_least=0)
    require_whole_number("n_tokens", n_tokens, at_least=1)
    require_windows(_windows(torch.zeros_like(scores, dtype=torch.bool), recent), shape)
    for n_kept in range(scores.numel(), -1, -1):
        windows = _windows(_best(scores, n_kept), recent)
        needed = shape.cache_bytes(windows, sink=sink, n_tokens=n_tokens)
        if needed <= n_bytes:
            return windows
    raise ValueError(
        f"Expected room for windows of {recent} tokens in every group, {needed:,} bytes at "
        f"{n_tokens:,} tokens; found {n_bytes:,}. Raise n_bytes or lower recent."
    )


def windows_in_proportion(
    scores: Float[Tensor, "layer group"], n_positions: int, *, recent: int = 16
) -> Float[Tensor, "layer group"]:
    r"""Finite windows in proportion to the scores, with a common base.

    Of $n$ positions for all $G$ groups together, each gets `recent` and a part of the rest in
    proportion to its score: $w_g = r + \lfloor (n - G r) s_g / \sum_h s_h \rfloor$, after the
    head-level budgets of HeadKV (arXiv:2410.19258), which picks what to keep by attention; here it
    is the latest positions.

    Args:
        scores: Score of each group, 0 or more, not all 0.
        n_positions: Positions of all groups together.
        recent: Least window of a group.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are fewer positions than the bases take, or no score is above 0.

    Examples:
        >>> groups = torch.tensor([[0.9, 0.1], [0.0, 0.0]])
        >>> windows_in_proportion(groups, n_positions=200, recent=16)
        tensor([[138.,  29.],
                [ 16.,  16.]], dtype=torch.float64)
    """
    require_tensor("scores", scores, ("layer", "group"))
    require_whole_number("recent", recent, at_least=1)
    base = scores.numel() * recent
    require_whole_number("n_positions", n_positions, at_least=base)
    total = scores.double().sum()
    if not bool((scores >= 0).all()) or not total > 0:
        raise ValueError(
            "Expected scores of 0 or more, one of them above 0; found "
            f"{scores.min().item()} to {scores.max().item()}. Take them from group_scores."
        )
    return recent + ((n_positions - base) * scores.double() / total).floor()


def _best(scores: Float[Tensor, "layer group"], n_kept: int) -> Bool[Tensor, "layer group"]:
    """The groups with the `n_kept` highest scores."""
    order = scores.flatten().argsort(descending=True, stable=True)
    kept = torch.zeros(scores.numel(), dtype=torch.bool)
    kept[order[:n_kept]] = True
    return kept.view(scores.shape)


def _windows(kept: Bool[Tensor, "layer group"], recent: int) -> Float[Tensor, "layer group"]:
    require_whole_number("recent", recent, at_least=1)
    return torch.where(kept, math.inf, float(recent)).double()
