"""Shapes of a score table that need no correspondence between heads."""

import numpy as np
from jaxtyping import Float
from scipy.stats import wasserstein_distance

from rh_lens.checks import require_array


def sorted_score_distance(
    a: Float[np.ndarray, "layer_a head_a"], b: Float[np.ndarray, "layer_b head_b"]
) -> float:
    """Mean difference between the sorted scores of two results, whatever their numbers of heads.

    The area between the two quantile functions (the Wasserstein-1 distance), in units of the score:
    0 when the same shares of heads have the same scores, wherever those heads are. Heads that are
    NaN are left out.

    Raises:
        TypeError: An argument is of another type.
        ValueError: One of the results has no score.

    Examples:
        >>> a, b = np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]])
        >>> sorted_score_distance(a, b)
        0.0
    """
    for name, result in (("a", a), ("b", b)):
        require_array(name, result, ("layer", "head"))
    scores = [result[~np.isnan(result)] for result in (a, b)]
    if not all(len(values) for values in scores):
        raise ValueError(
            f"Expected scores in both results; found {len(scores[0])} and {len(scores[1])}. "
            "Leave out results in which no head has a score."
        )
    return float(wasserstein_distance(*scores))


def layer_profile(
    means: Float[np.ndarray, "*batch layer head"], relative_layer: Float[np.ndarray, " point"]
) -> Float[np.ndarray, "*batch point"]:
    """Mean score of the layers at some relative places, 0 for the first layer and 1 for the last.

    Linear between neighbouring layers. Heads that are NaN, and layers of such, are left out; they
    have to be the same ones all over a batch. NaN when there is no score at all.

    Raises:
        TypeError: An argument is of another type.
        ValueError: An array has other axes, or a place is outside of 0 to 1.

    Examples:
        >>> layer_profile(scores.mean().numpy(), np.array([0, 0.5, 1])).round(2)
        array([0.  , 0.26, 0.  ])
    """
    require_array("relative_layer", relative_layer, ("point",), least=0.0, most=1.0)
    require_array("means", means, ("*batch", "layer", "head"))
    seen = ~np.isnan(means)
    scored = seen.reshape(-1, *means.shape[-2:])[0].any(axis=1)
    if not scored.any():
        return np.full((*means.shape[:-2], len(relative_layer)), np.nan)
    kept, n_seen = means[..., scored, :], seen[..., scored, :].sum(axis=-1)
    layer_mean = np.nan_to_num(kept, nan=0.0).sum(axis=-1) / n_seen
    place = np.nonzero(scored)[0] / max(len(scored) - 1, 1)
    weights = [np.interp(relative_layer, place, row) for row in np.eye(len(place))]
    return layer_mean @ np.stack(weights)


def layer_profile_pearson(
    a: Float[np.ndarray, "layer_a head_a"], b: Float[np.ndarray, "*batch layer_b head_b"]
) -> Float[np.ndarray, " *batch"]:
    """Correlation of the layers' mean scores in two results, on relative layers.

    Both profiles are read at as many even places as the result with fewer layers has; NaN where one
    of them is flat. With few layers even unrelated results often correlate strongly.
    """
    points = np.linspace(0.0, 1.0, min(len(a), b.shape[-2]))
    one, other = layer_profile(a, points), layer_profile(b, points)
    one, other = one - one.mean(), other - other.mean(axis=-1, keepdims=True)
    size = np.linalg.norm(one) * np.linalg.norm(other, axis=-1)
    # A flat profile is left with rounding errors only.
    flat = ~(size > 1e-12)
    return np.where(flat, np.nan, np.asarray(other @ one) / np.where(flat, 1.0, size))
