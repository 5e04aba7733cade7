"""Scores of the groups of query heads that share a key-value head."""

from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float

GroupBy: TypeAlias = Literal["max", "mean"]


def kv_group_means(
    means: Float[np.ndarray, "layer head"], n_kv_heads: int, group_by: GroupBy = "max"
) -> Float[np.ndarray, "layer group"]:
    """Score of each key-value group: the largest or the mean of its query heads' scores.

    Args:
        means: Scores; heads that are NaN play no part, and a group of such is NaN.
        n_kv_heads: Key-value heads in a layer.
        group_by: "max" or "mean".

    Raises:
        ValueError: `n_kv_heads` does not divide the heads, or `group_by` is unknown.
    """
    n_layers, n_heads = means.shape
    if n_kv_heads < 1 or n_heads % n_kv_heads or group_by not in ("max", "mean"):
        raise ValueError(
            f"Expected n_kv_heads to divide {n_heads} heads, and group_by 'max' or 'mean'; found "
            f"{n_kv_heads} and {group_by!r}. Take n_kv_heads from the model's configuration."
        )
    grouped = means.reshape(n_layers, n_kv_heads, n_heads // n_kv_heads)
    seen = ~np.isnan(grouped)
    if group_by == "max":
        value = np.where(seen, grouped, -np.inf).max(axis=2)
    else:
        value = np.where(seen, grouped, 0.0).sum(axis=2) / np.maximum(seen.sum(axis=2), 1)
    return np.where(seen.any(axis=2), value, np.nan)
