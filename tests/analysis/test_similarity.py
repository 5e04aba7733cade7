"""Statistics of two score vectors, by exact numbers, plain loops and invariants."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tolerances import double_rounding

from rh_lens.analysis.similarity import STATISTICS, memberships, similarities


def array(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


def one(a: np.ndarray, b: np.ndarray, k: int = 2, p: float = 0.9) -> dict[str, float]:
    return {name: float(value[0]) for name, value in similarities(a, b, k=k, p=p).items()}


def ranked_rbo(a: list[int], b: list[int], p: float) -> float:
    """Webber et al. 2010, equation 23 (RBO_ext), for two rankings of the same items."""
    n = len(a)
    overlap = [len(set(a[:d]) & set(b[:d])) for d in range(1, n + 1)]
    total = math.fsum(overlap[d - 1] / d * p**d for d in range(1, n + 1))
    return overlap[-1] / n * p**n + (1 - p) / p * total


def untied(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(n) + 1.0


def test_exact_numbers_of_four_heads():
    # Rankings 0 1 2 3 and 1 0 3 2: agreements 0, 1, 2/3, 1.
    found = one(array(4, 3, 2, 1), array(3, 4, 1, 2), k=3, p=0.5)
    assert found["rbo"] == pytest.approx(0.5 * (0 + 0.5 + 0.25 * 2 / 3 + 0.125) + 0.0625)
    assert found["jaccard"] == pytest.approx(2 / 4)
    assert found["pearson"] == found["spearman"] == pytest.approx(0.6)


@pytest.mark.parametrize("seed", range(5))
def test_correlations_are_scipys(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.random(40).round(1), rng.random(40).round(1)
    found = one(a, b)
    allowed = double_rounding(40, n_sums=4)  # two means, two norms, a product
    assert found["pearson"] == pytest.approx(stats.pearsonr(a, b).statistic, abs=allowed)
    assert found["spearman"] == pytest.approx(stats.spearmanr(a, b).statistic, abs=allowed)


@pytest.mark.parametrize("p", [0.3, 0.9, 0.98])
@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_rank_biased_overlap_without_ties_is_the_original(p, n):
    a, b = untied(n, n), untied(n + 100, n)
    expected = ranked_rbo((-a).argsort().tolist(), (-b).argsort().tolist(), p)
    assert one(a, b, p=p)["rbo"] == pytest.approx(expected, abs=1e-8)


def test_memberships_are_shared_by_ties_as_over_all_orders_of_them():
    scores = [3.0, 1.0, 1.0, 1.0, 0.0]
    found = memberships(np.array(scores), 5)
    orders = [
        order
        for order in permutations(range(5))
        if sorted(scores)[::-1] == [scores[i] for i in order]
    ]
    expected = np.zeros((5, 5))
    for order in orders:
        for depth in range(5):
            expected[depth, list(order[: depth + 1])] += 1 / len(orders)
    np.testing.assert_allclose(found, expected)


def test_heads_that_score_zero_are_in_no_top_set():
    a, b = array(0.9, 0.5, 0, 0, 0), array(0.9, 0, 0.5, 0, 0)
    assert one(a, b, k=4)["jaccard"] == pytest.approx(1 / 3)
    assert math.isnan(one(array(0, 0), array(0, 0))["jaccard"])
    assert one(array(1, 0), array(0, 0))["jaccard"] == 0


def test_heads_that_tie_for_the_last_place_share_it():
    # Top 2 of a: head 0, and heads 1 and 2 by halves; of b: heads 0 and 1.
    found = one(array(3, 1, 1, 0), array(3, 2, 1, 0), k=2)
    assert found["jaccard"] == pytest.approx((1 + 0.5) / (1 + 1 + 0.5))


def test_equal_scores_have_no_correlation():
    found = one(array(1, 1, 1), array(1, 2, 3))
    assert math.isnan(found["pearson"])
    assert math.isnan(found["spearman"])


def test_orders_read_the_second_vector_in_another_order():
    rng = np.random.default_rng(3)
    a, b = rng.random(12).round(1), rng.random(12).round(1)
    orders = np.array([rng.permutation(12) for _ in range(5)])
    found = similarities(a, b, k=3, orders=orders)
    for row, order in enumerate(orders):
        alone = one(a, b[order], k=3)
        assert {name: found[name][row] for name in STATISTICS} == pytest.approx(alone)


scores = st.lists(st.sampled_from([0.0, 0.0, 0.1, 0.3, 0.8, 1.0]), min_size=6, max_size=6)


@settings(max_examples=40, deadline=None)
@given(scores, scores, st.integers(1, 8), st.floats(0.05, 0.99), st.randoms())
def test_invariants(a, b, k, p, random):
    a, b = np.array(a), np.array(b)
    found, turned = one(a, b, k, p), one(b, a, k, p)
    assert found == pytest.approx(turned, nan_ok=True)
    for name, low in {"pearson": -1, "spearman": -1, "jaccard": 0, "rbo": 0}.items():
        assert math.isnan(found[name]) or low - 1e-9 <= found[name] <= 1 + 1e-9
    same = one(a, a, k, p)
    assert all(value == pytest.approx(1) or math.isnan(value) for value in same.values())
    assert same["rbo"] == pytest.approx(1)
    order = random.sample(range(6), 6)
    assert one(a[order], b[order], k, p) == pytest.approx(found, nan_ok=True)


@pytest.mark.parametrize(
    ("a", "b", "k", "p", "message"),
    [
        (array(1, 2), array(1), 1, 0.9, r"found \(2,\) and \(1,\) heads"),
        (array(1, np.nan), array(1, 2), 1, 0.9, "1 and 0 NaN"),
        (array(), array(), 1, 0.9, r"found float64 values of shape \[0\]"),
        (array(1, 2), array(1, 2), 0, 0.9, "Expected k to be .* of 1 or more; found 0"),
        (array(1, 2), array(1, 2), 1, 1.0, r"Expected p to be .* above 0 and below 1; found 1\.0"),
    ],
)
def test_what_can_not_be_compared_is_refused(a, b, k, p, message):
    with pytest.raises(ValueError, match=message):
        similarities(a, b, k=k, p=p)
