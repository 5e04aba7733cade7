import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rh_lens.evaluation.statistics import (
    bootstrap_interval,
    holm,
    mcnemar_pvalue,
    sign_pvalue,
)


def paired(both, only_first, only_second, neither):
    """Two lists of booleans with these counts in McNemar's table."""
    pairs = [(True, True)] * both + [(True, False)] * only_first
    pairs += [(False, True)] * only_second + [(False, False)] * neither
    return [first for first, _ in pairs], [second for _, second in pairs]


def exact_tail(k, n):
    """P(X <= k) of a fair coin tossed n times, by counting."""
    return Fraction(sum(math.comb(n, i) for i in range(k + 1)), 2**n)


@pytest.mark.parametrize("values", [[0.75] * 30, [0.1] * 7, [1.0], [True, True]])
def test_equal_values_have_an_interval_of_zero_width_and_no_warning(values):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = bootstrap_interval(values)
    assert low == pytest.approx(float(values[0]), abs=1e-12)
    assert high == pytest.approx(float(values[0]), abs=1e-12)


def test_the_interval_of_a_large_sample_is_the_normal_one():
    values = np.random.default_rng(1).normal(5.0, 2.0, size=400)
    low, high = bootstrap_interval(values, n_resamples=5000)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)


def test_two_values_are_resampled_into_four_pairs():
    # Means 0, 1/2, 1 with chances 1/4, 1/2, 1/4: the middle 40 % are all 1/2, the middle 90 % not.
    assert bootstrap_interval([0.0, 1.0], level=0.4) == (0.5, 0.5)
    assert bootstrap_interval([0.0, 1.0], level=0.9) == (0.0, 1.0)


def test_the_seed_decides():
    values = [0, 1, 1, 0, 1, 0.5, 0.25, 1]
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3, n_resamples=50) != bootstrap_interval(
        values, seed=4, n_resamples=50
    )


def test_groups_are_drawn_whole():
    # Two needles of five equal cells each: the spread is that of two values, not of ten.
    values, needles = [0.0] * 5 + [1.0] * 5, ["a"] * 5 + ["b"] * 5
    assert bootstrap_interval(values, groups=needles) == (0.0, 1.0)
    low, high = bootstrap_interval(values)
    assert 0.1 <= low < high <= 0.9


def test_a_group_counts_by_its_trials():
    # Resampled groups: (a, a) 0, (b, b) 1, and a with b 3/4, never their plain mean 1/2.
    values, needles = [0.0, 1.0, 1.0, 1.0], ["a", "b", "b", "b"]
    assert bootstrap_interval(values, groups=needles, level=0.4) == (0.75, 0.75)


def test_one_group_shows_no_spread():
    assert bootstrap_interval([0.0, 1.0], groups=["a", "a"]) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("values", "level", "found"),
    [
        ([], 0.95, "found 0 values"),
        ([1.0, float("nan")], 0.95, "found 2 values, 1 of them NaN"),
        ([1.0, 2.0], 95.0, "level 95"),
    ],
)
def test_an_interval_of_nothing_is_refused(values, level, found):
    with pytest.raises(ValueError, match=found):
        bootstrap_interval(values, level=level)


def test_every_value_has_a_group():
    with pytest.raises(ValueError, match=r"a group for each .* found 2 values, .* 1 groups"):
        bootstrap_interval([0.0, 1.0], groups=["a"])


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 5))
def test_mcnemar_is_the_sign_test_on_pairs_that_differ(only_first, only_second, alike):
    first, second = paired(alike, only_first, only_second, alike)
    n = only_first + only_second
    two_sided = min(Fraction(1), 2 * exact_tail(min(only_first, only_second), n)) if n else 1
    assert mcnemar_pvalue(first, second) == pytest.approx(float(two_sided), rel=1e-9)
    less = exact_tail(only_first, n) if n else 1
    assert mcnemar_pvalue(first, second, alternative="less") == pytest.approx(float(less), rel=1e-9)


def test_mcnemar_on_a_worked_table():
    # 10 pairs differ, 9 of them in one direction: 2 (1 + 10) / 1024.
    first, second = paired(20, 1, 9, 5)
    assert mcnemar_pvalue(first, second) == pytest.approx(22 / 1024)
    assert mcnemar_pvalue(second, first) == pytest.approx(22 / 1024)
    assert mcnemar_pvalue(first, second, alternative="less") == pytest.approx(11 / 1024)
    assert mcnemar_pvalue(second, first, alternative="less") == pytest.approx(1023 / 1024)


def test_mcnemar_wants_pairs():
    with pytest.raises(ValueError, match="the same prompts under both conditions; found 2 and 1"):
        mcnemar_pvalue([True, False], [True])


def test_the_sign_test_counts_needles_not_prompts():
    needles = [needle for needle in "abcdef" for _ in range(3)]
    first, second = [False] * 18, [True, True, False] * 6
    assert sign_pvalue(first, second, needles) == 1 / 64
    assert sign_pvalue(second, first, needles) == 1.0
    assert mcnemar_pvalue(first, second, alternative="less") == 1 / 4096


def test_needles_that_do_not_differ_do_not_count():
    assert sign_pvalue([0, 1, 0, 1], [1, 0, 1, 1], ["a", "a", "b", "c"]) == 1 / 2
    assert sign_pvalue([1.0], [1.0], ["a"]) == 1.0


def test_the_sign_test_wants_pairs_with_groups():
    with pytest.raises(ValueError, match="found 2, 2 and 1"):
        sign_pvalue([0, 1], [1, 1], ["a"])


def test_holm_on_a_worked_example():
    # 0.005 x 4, 0.01 x 3, then 0.03 x 2, and 0.04 x 1 is lifted to the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_one_test_alone_and_stays_at_most_one():
    assert holm([0.2]).tolist() == [0.2]
    assert holm([0.6, 0.7]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


def test_tests_that_were_not_made_do_not_count():
    corrected = holm([float("nan"), 0.01, float("nan"), 0.03])
    assert np.isnan(corrected).tolist() == [True, False, True, False]
    assert corrected[[1, 3]].tolist() == pytest.approx([0.02, 0.03])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_equals_the_step_down_rule(pvalues):
    corrected = holm(pvalues)
    order = sorted(range(len(pvalues)), key=lambda i: pvalues[i])
    for level in (0.01, 0.05, 0.3):
        rejected = set()
        for step, index in enumerate(order):
            if pvalues[index] * (len(pvalues) - step) > level:
                break
            rejected.add(index)
        assert {i for i, p in enumerate(corrected) if p <= level} == rejected
