import math
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rh_lens.evaluation import (
    permutation_pvalue,
    sequential_pvalue,
    sign_flip_pvalue,
    step_down_pvalues,
    stop_after,
)

NAN = float("nan")


def test_no_draw_as_harmful_among_nineteen_gives_one_in_twenty():
    assert permutation_pvalue(0.0, [0.9] * 19) == 1 / 20
    assert permutation_pvalue(0.0, [0.9]) == 1 / 2


def test_draws_at_least_as_harmful_are_counted_ties_included():
    assert permutation_pvalue(0.5, [0.1, 0.5, 0.9, 0.9]) == 3 / 5
    assert permutation_pvalue(0.1 + 0.2, [0.3, 0.9, 0.9]) == 2 / 4
    assert permutation_pvalue(1.0, [0.9] * 4) == 1.0


@pytest.mark.parametrize(
    ("observed", "draws", "found"),
    [(0.0, [], r"draws .* found an array \[0\]"),
     (NAN, [0.5], "observed to be a finite number; found nan"),
     (0.5, [NAN, 0.9], r"draws .* found an array \[2\] with 1")],
)  # fmt: skip
def test_what_was_not_measured_is_refused(observed, draws, found):
    with pytest.raises(ValueError, match=found):
        permutation_pvalue(observed, draws)
    with pytest.raises(ValueError, match=found):
        sequential_pvalue(observed, draws, n_as_harmful=1)


def test_a_test_is_settled_when_the_level_is_out_of_reach():
    assert [stop_after(n) for n in (1, 19, 38, 39, 99, 199)] == [1, 1, 1, 2, 5, 10]
    assert stop_after(99, 0.01) == 1


def test_the_place_of_the_last_harmful_draw_decides():
    assert sequential_pvalue(0.5, [0.9, 0.4, 0.9], n_as_harmful=1) == 1 / 2
    assert sequential_pvalue(0.5, [0.4, 0.9, 0.9, 0.5], n_as_harmful=2) == 2 / 4
    # What was drawn behind the stop does not count.
    assert sequential_pvalue(0.5, [0.4, 0.5, 0.9, 0.9], n_as_harmful=2) == 1.0
    assert sequential_pvalue(0.5, [0.9] * 19, n_as_harmful=1) == 1 / 20
    with pytest.raises(ValueError, match="n_as_harmful to be a whole number of 1 or more; found 0"):
        sequential_pvalue(0.5, [0.9], n_as_harmful=0)


@pytest.mark.parametrize("n_as_harmful", [1, 2, 3])
def test_over_all_orders_a_stopped_test_holds_every_level_exactly(n_as_harmful):
    # Six exchangeable values: each is the observed one in a sixth of all orders.
    found = [
        sequential_pvalue(order[0], list(order[1:]), n_as_harmful=n_as_harmful)
        for order in permutations([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    ]
    for level in set(found):
        assert np.mean([p <= level for p in found]) <= level + 1e-12


def test_one_k_is_corrected_by_nothing():
    draws = np.array([[0.1], [0.5], [0.9], [0.9]])
    assert step_down_pvalues(np.array([0.5]), draws).tolist() == [3 / 5]


def test_a_draw_counts_by_its_largest_deviation():
    # Means 0.8 and 0.5. The top deviates by 0.7 at the second K; one draw by 0.3 there at most.
    draws = np.array([[1.0, 0.6], [0.6, 0.6], [0.9, 0.7], [0.9, 0.9]])
    observed = np.array([0.6, -0.3])
    second = 1 / 5
    # At the first K, which is left after it, one draw is as far below the mean.
    assert step_down_pvalues(observed, draws).tolist() == [2 / 5, second]


def test_ks_without_any_difference_do_not_cost_anything():
    draws = np.full((19, 3), 0.9)
    draws[:, 2] = 0.0
    found = step_down_pvalues(np.array([0.9, 0.1, 0.0]), draws)
    assert found.tolist() == [1.0, 1 / 20, 1.0]


def test_curves_without_draws_or_with_nan_are_refused():
    with pytest.raises(ValueError, match=r"draws .* found an array \[0, 1\]"):
        step_down_pvalues(np.array([0.5]), np.empty((0, 1)))
    with pytest.raises(ValueError, match=r"found an array \[1, 1\] with 1"):
        step_down_pvalues(np.array([0.5]), np.array([[NAN]]))


def test_needles_are_flipped_whole():
    needles = [needle for needle in "abcdef" for _ in range(3)]
    lost = [-1.0] * 18
    assert sign_flip_pvalue(lost, needles) == 1 / 64
    assert sign_flip_pvalue(lost, range(18)) == 1 / 2**18
    assert sign_flip_pvalue([1.0] * 18, needles) == 1.0


def test_needles_without_a_difference_do_not_count():
    assert sign_flip_pvalue([-1, 0, 0, 0], list("abcd")) == 1 / 2
    assert sign_flip_pvalue([0.0, 0.0], list("ab")) == 1.0
    # +1 and -1 of one needle cancel.
    assert sign_flip_pvalue([1.0, -1.0, -1.0], ["a", "a", "b"]) == 1 / 2


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=7))
def test_all_sign_patterns_are_counted(differences):
    sums = [
        sum(sign * value for sign, value in zip(signs, differences, strict=True))
        for signs in product([-1, 1], repeat=len(differences))
    ]
    share = np.mean([total <= sum(differences) for total in sums])
    assert sign_flip_pvalue(differences, range(len(differences))) == pytest.approx(share)


def test_many_needles_are_flipped_at_random_and_a_p_of_zero_does_not_exist():
    differences = [-1.0] * 20 + [1.0] * 10
    exact = sum(math.comb(30, k) for k in range(11)) / 2**30
    drawn = sign_flip_pvalue(differences, range(30), n_flips=20_000)
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact / 20_000))
    assert sign_flip_pvalue([-1.0] * 40, range(40), n_flips=99) == 1 / 100


@pytest.mark.parametrize(
    ("differences", "needles", "found"),
    [([], [], r"found an array \[0\]"), ([NAN], ["a"], r"found an array \[1\] with 1"),
     ([1.0], ["a", "b"], r"needles .* found an array \[2\]")],
)  # fmt: skip
def test_signs_of_nothing_are_refused(differences, needles, found):
    with pytest.raises(ValueError, match=found):
        sign_flip_pvalue(differences, needles)
