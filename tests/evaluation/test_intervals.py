import math

import numpy as np
import pytest
from scipy import stats
from tolerances import double_rounding

from rh_lens.evaluation import (
    difference_interval,
    equivalence_pvalue,
    mean_interval,
    unbounded_interval,
)
from rh_lens.evaluation.moments import crossed_moments, needle_means

NEEDLES = [needle for needle in range(12) for _ in range(4)]


@pytest.mark.parametrize("n_needles", [3, 6, 12, 30])
def test_all_right_still_allows_what_the_binomial_law_allows(n_needles):
    found = mean_interval([True] * n_needles, range(n_needles))
    assert found.high == found.mean == 1.0
    # With this recall, all needles come out right in 2.5 % of samples.
    assert found.low**n_needles == pytest.approx(0.025)
    none = mean_interval([0.0] * n_needles, range(n_needles))
    assert (none.low, none.high) == (0.0, pytest.approx(1 - found.low))


def test_more_prompts_of_the_same_needles_are_no_more_needles():
    assert mean_interval([1.0] * 48, NEEDLES) == mean_interval([1.0] * 12, range(12))
    whole = np.repeat([1.0] * 9 + [0.0] * 3, 4)
    assert mean_interval(whole, NEEDLES) == pytest.approx(
        mean_interval([1.0] * 9 + [0.0] * 3, range(12)), abs=double_rounding(48)
    )


def test_needles_that_fail_whole_have_jeffreys_interval_of_the_needles():
    right = [1.0] * 20 + [0.0] * 10
    found = mean_interval(right, range(30))
    # 29/30 of the variance of thirty tosses, and t for the normal quantile.
    n = 30 * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 29)) ** 2
    share = 2 / 3
    low, high = stats.beta.ppf([0.025, 0.975], n * share + 0.5, n * (1 - share) + 0.5)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_prompts_that_fall_by_themselves_count_as_prompts():
    # Each needle has three of four right: nothing tells needles apart, so all 48 prompts count.
    by_chance = mean_interval([1, 1, 1, 0] * 12, NEEDLES)
    by_needle = mean_interval([1, 1, 1, 0] * 3, range(12))
    assert by_chance.mean == by_needle.mean == 0.75
    assert by_chance.high - by_chance.low < 0.6 * (by_needle.high - by_needle.low)


def test_one_needle_says_nothing_about_others():
    assert mean_interval([1.0, 1.0, 0.0], ["a"] * 3)[1:] == (0.0, 1.0, 1)
    assert difference_interval([1.0], [0.0], ["a"])[1:] == (-1.0, 1.0, 1)
    assert unbounded_interval([3.0, 5.0], ["a", "a"]) == (4.0, -math.inf, math.inf, 1)


def test_unequal_needles_count_by_their_prompts():
    values, needles = [0.0, 1.0, 1.0, 1.0], ["a", "b", "b", "b"]
    assert mean_interval(values, needles).mean == 0.75
    means = needle_means(np.array([values]), needles)
    assert means.mean() == pytest.approx(0.75)
    assert needle_means(np.array([values]), list("aabb")).tolist() == [[0.5, 1.0]]


def test_no_difference_at_all_is_no_proof_of_none():
    same = difference_interval([1.0] * 48, [1.0] * 48, NEEDLES)
    assert same.mean == 0.0
    assert same.high == -same.low == pytest.approx(1 - 0.025 ** (1 / 12))


def test_a_difference_of_many_needles_is_students():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 2000)) < [[0.5], [0.7]]
    found = difference_interval(first, second, range(2000))
    student = unbounded_interval(first.astype(float) - second, range(2000))
    assert found == pytest.approx(student, abs=1e-3)


def test_pairing_counts():
    # The same twelve needles are right under both: only two of them differ.
    first = [1.0] * 5 + [0.0] * 7
    second = [1.0] * 7 + [0.0] * 5
    paired = difference_interval(first, second, range(12))
    mixed = difference_interval(first, second[::-1], range(12))
    assert paired.mean == mixed.mean == pytest.approx(-1 / 6)
    assert paired.high - paired.low < 0.7 * (mixed.high - mixed.low)


def test_draws_are_a_sample_until_all_that_exist_are_drawn():
    rng = np.random.default_rng(1)
    draws = (rng.random((5, 12)) < rng.random((5, 1))).astype(float)
    first = [1.0] * 6 + [0.0] * 6
    some = difference_interval(first, draws, range(12))
    every = difference_interval(first, draws, range(12), n_possible=5)
    student = unbounded_interval(first - draws.mean(0), range(12))
    assert some.mean == every.mean == pytest.approx(student.mean)
    assert some.high - some.low > 1.3 * (every.high - every.low)
    assert every.high - every.low == pytest.approx(student.high - student.low, rel=0.1)


def test_the_variance_of_crossed_effects_is_that_of_the_mean_squares():
    values = np.array([[1.0, 2.0, 6.0], [3.0, 5.0, 7.0]])
    (mean,), (variance,), (df,) = crossed_moments(values[None])
    # Needle means 2, 3.5, 6.5; draw means 3 and 5; what is left +-(0, 0.5, -0.5).
    assert mean == 4.0
    assert variance == pytest.approx((10.5 + 6.0 - 0.5) / 6)
    # Satterthwaite: 16 squared over 10.5^2 / 2 + 6^2 / 1 + 0.5^2 / 2.
    assert df == pytest.approx(16**2 / (10.5**2 / 2 + 36 + 0.125))


def test_numbers_without_bounds_have_students_interval():
    values = np.array([1.0, 2.0, 4.0, 9.0])
    found = unbounded_interval(values, range(4))
    low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert found == (4.0, pytest.approx(low), pytest.approx(high), 4)


@pytest.mark.parametrize(
    ("values", "needles", "level", "found"),
    [
        ([], [], 0.95, r"found an array \[0\]"),
        (
            [1.0, float("nan")],
            [0, 1],
            0.95,
            r"found an array \[2\] with 1 that are NaN or out of range",
        ),
        ([1.5, 0.0], [0, 1], 0.95, r"found an array \[2\] with 1 that are NaN or out of range"),
        ([1.0], [0, 1], 0.95, r"needles to be a list .* found an array \[2\]"),
        ([1.0, 0.0], [0, 1], 95.0, "level to be a number above 0 and below 1; found 95"),
    ],
)
def test_an_interval_of_nothing_is_refused(values, needles, level, found):
    with pytest.raises(ValueError, match=found):
        mean_interval(values, needles, level=level)
    with pytest.raises(ValueError, match=found):
        difference_interval(values, values, needles, level=level)


@pytest.mark.parametrize(("n_needles", "margin"), [(14, 0.2), (29, 0.1), (59, 0.05)])
def test_that_nothing_changes_takes_many_needles(n_needles, margin):
    same = [1.0] * n_needles
    enough = equivalence_pvalue(same, same, range(n_needles), margin=margin)
    assert enough == pytest.approx((1 - margin) ** n_needles)
    assert enough <= 0.05
    fewer = range(n_needles - 1)
    assert equivalence_pvalue(same[1:], same[1:], fewer, margin=margin) > 0.05


def test_a_difference_beyond_the_margin_is_never_equivalent():
    assert equivalence_pvalue([0.0] * 30, [1.0] * 30, range(30), margin=0.1) == 1.0
    with pytest.raises(ValueError, match=r"margin to be a number above 0 and below 1; found 0\.0"):
        equivalence_pvalue([1.0], [1.0], ["a"], margin=0.0)
