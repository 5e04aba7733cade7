"""Sets of heads that are alike in a trait: nearest neighbours, drawn at random."""

import random
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from rh_lens.heads import Head

N_NEAREST = 5
"""Heads that a neighbour is drawn from, or what is left of them."""

# Sets drawn in vain before no further ones are taken to exist.
_PATIENCE = 200


def draw_neighbours(
    heads: Sequence[Head],
    free: Sequence[Head],
    trait: Float[Tensor, "layer head"],
    n_draws: int,
    seed: int,
) -> list[tuple[Head, ...]]:
    """Distinct sets in which every head has a partner that is near to it in a trait.

    The heads choose in random order; each takes one of the `N_NEAREST` free heads whose trait is
    nearest to its own, all equally likely. Near does not mean near enough: compare the means.

    Args:
        heads: The heads to find partners for.
        free: Heads to choose from, at least as many.
        trait: A number for each head.
        n_draws: Sets to draw; fewer come back when no more turn up.
        seed: Seed of the draws.
    """
    rng = random.Random(seed)
    value = {head: float(trait[head.layer, head.head]) for head in (*heads, *free)}
    found: dict[tuple[Head, ...], None] = {}
    in_vain = 0
    while len(found) < n_draws and in_vain < _PATIENCE:
        left, chosen = set(free), []
        for head in rng.sample(heads, len(heads)):
            nearest = sorted(left, key=lambda one: (abs(value[one] - value[head]), one))
            chosen.append(rng.choice(nearest[:N_NEAREST]))
            left.remove(chosen[-1])
        drawn = tuple(sorted(chosen))
        in_vain = in_vain + 1 if drawn in found else 0
        found.setdefault(drawn)
    return list(found)
