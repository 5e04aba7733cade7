"""Scores of the groups of query heads that share a key-value head."""

from typing import Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Float

from rh_lens.checks import require_array, require_choice, require_whole_number

GroupBy: TypeAlias = Literal["max", "mean"]

_REMEDY = "Take it from the model's configuration."


def require_divisor(n_kv_heads: int, n_heads: int) -> None:
    """Refuse a number of key-value heads that does not divide the query heads.

    Raises:
        ValueError: It does not.
    """
    if n_heads % n_kv_heads:
        raise ValueError(
            f"Expected n_kv_heads to divide {n_heads} heads; found {n_kv_heads}. {_REMEDY}"
        )


def kv_group_means(
    means: Float[np.ndarray, "layer head"], n_kv_heads: int, group_by: GroupBy = "max"
) -> Float[np.ndarray, "layer group"]:
    """Score of each key-value group: the largest or the mean of its query heads' scores.

    Args:
        means: Scores; heads that are NaN play no part, and a group of such is NaN.
        n_kv_heads: Key-value heads in a layer.
        group_by: "max" or "mean".

    Raises:
        TypeError: An argument is of another type.
        ValueError: `n_kv_heads` does not divide the heads, or `group_by` is unknown.

    Examples:
        >>> means = scores.mean().numpy()
        >>> kv_group_means(means, n_kv_heads=4)[2].round(2)
        array([0.06, 1.  , 1.  , 0.02])
    """
    require_array("means", means, ("layer", "head"))
    require_whole_number("n_kv_heads", n_kv_heads, at_least=1, remedy=_REMEDY)
    require_choice("group_by", group_by, get_args(GroupBy))
    n_layers, n_heads = means.shape
    require_divisor(n_kv_heads, n_heads)
    grouped = means.reshape(n_layers, n_kv_heads, n_heads // n_kv_heads)
    seen = ~np.isnan(grouped)
    if group_by == "max":
        value = np.where(seen, grouped, -np.inf).max(axis=2)
    else:
        value = np.where(seen, grouped, 0.0).sum(axis=2) / np.maximum(seen.sum(axis=2), 1)
    return np.where(seen.any(axis=2), value, np.nan)
