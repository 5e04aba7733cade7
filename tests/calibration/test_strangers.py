"""P-values of the comparison of two models: their level on strangers, their power on relatives."""

from functools import partial

import numpy as np
import pytest
from score_cases import one_trial
from simulate import Rate, stranger_pair

from rh_lens.analysis import compare_scores

compare = partial(compare_scores, n_permutations=99)


def p_values(pairs, n_kv_heads):
    """Places of two statistics among both kinds of permutations, for each pair."""
    found = [
        compare({"a": one_trial(a), "b": one_trial(b)}, n_kv_heads=n_kv_heads, seed=seed).pairs[0]
        for seed, (a, b) in enumerate(pairs)
    ]
    return {
        (statistic, where): np.array([getattr(pair[statistic], where) for pair in found])
        for statistic in ("pearson", "jaccard")
        for where in ("p", "layer_p")
    }


# What is permuted, and where it holds its level, on strangers of each kind.
HELD = {
    ("single heads", None): ("p", "layer_p"),
    ("pairs", None): (),
    ("single heads", 4): ("p", "layer_p"),
    ("pairs", 4): ("p", "layer_p"),
    ("pairs in one layer", 4): ("layer_p",),
    ("pairs in a layer each", 4): ("layer_p",),
}


@pytest.mark.parametrize(("kind", "n_kv_heads"), HELD)
def test_few_strangers_seem_alike(kind, n_kv_heads, repeats, record):
    rng = np.random.default_rng(len(kind))
    n = repeats(quick=20, full=500)
    found = p_values([stranger_pair(rng, kind) for _ in range(n)], n_kv_heads)
    unit = "head by head" if n_kv_heads is None else "in groups"
    for (statistic, where), p in found.items():
        case = f"{kind}, {unit}, {where}"
        name = f"compare_scores, {statistic}"
        rate = record(Rate(name, case, 0, int((p <= 0.05).sum()), n, "level"))
        assert where not in HELD[kind, n_kv_heads] or rate.at_most(0.05)


def test_relatives_are_found_alike(repeats, record):
    rng = np.random.default_rng(0)
    n = repeats(quick=20, full=500)
    pairs = []
    for _ in range(n):
        base, _ = stranger_pair(rng, "pairs")
        pairs.append((base, np.clip(base + rng.normal(0, 0.02, base.shape), 0, 1)))
    p = p_values(pairs, 4)["pearson", "p"]
    rate = record(
        Rate("compare_scores, pearson", "relatives", 0, int((p <= 0.05).sum()), n, "power")
    )
    assert rate.at_least(0.95)
