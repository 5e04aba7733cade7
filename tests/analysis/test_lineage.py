"""Results compared in pairs, beside what chance gives."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from score_cases import make_scores, one_trial

from rh_lens.analysis import compare_scores, kv_group_means, layer_profile, sorted_score_distance
from rh_lens.analysis.layer_profiles import layer_profile_pearson
from rh_lens.analysis.orders import count_arrangements, exchangeable_blocks, random_orders
from rh_lens.analysis.similarity import STATISTICS

NAN = float("nan")


def random_means(seed: int, shape: tuple[int, int] = (4, 8)) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)).double() ** 4


def test_a_result_is_like_itself_and_unlike_a_shuffled_one():
    means = random_means(0, (16, 16))
    shuffled = means.flatten()[torch.randperm(256, generator=torch.Generator().manual_seed(1))]
    results = {"a": means, "again": means, "other": shuffled.reshape(16, 16)}
    found = compare_scores({name: one_trial(m) for name, m in results.items()})
    for name in STATISTICS:
        same, other = found.pair("a", "again")[name], found.pair("a", "other")[name]
        assert same.value == pytest.approx(1)
        assert same.value > same.null[1]
        assert other.null[0] <= other.value <= other.null[1]
    assert found.pair("other", "a") is found.pair("a", "other")
    assert found.pair("a", "other").sorted_score_distance == pytest.approx(0)
    assert [(pair.a, pair.b) for pair in found.pairs] == [
        ("a", "again"), ("a", "other"), ("again", "other"),
    ]  # fmt: skip


def test_the_null_has_the_spread_of_a_correlation_by_chance():
    # Pearson's r of n permuted pairs has mean 0 and variance 1 / (n - 1).
    found = compare_scores(
        {"a": one_trial(random_means(2, (32, 32))), "b": one_trial(random_means(3, (32, 32)))},
        n_permutations=1000,
    )
    low, high = found.pairs[0]["pearson"].null
    assert (low, high) == pytest.approx((-1.96 / 32, 1.96 / 32), abs=0.015)


def test_the_layer_null_keeps_what_the_layers_explain():
    # Both have one high layer; which heads of it lead is a matter of chance.
    first, second = random_means(4), random_means(5)
    first[2] += 5
    second[2] += 5
    pearson = compare_scores({"a": one_trial(first), "b": one_trial(second)}).pairs[0]["pearson"]
    assert pearson.value > 0.9
    assert pearson.null[1] < 0.6
    assert pearson.layer_null[0] > 0.9
    # Inside layers of equal scores there is nothing to permute.
    flat = torch.tensor([[0.0] * 4, [1.0] * 4, [0.0] * 4])
    pearson = compare_scores({"a": one_trial(flat), "b": one_trial(flat)}).pairs[0]["pearson"]
    assert pearson.layer_null == pytest.approx((1, 1))


def test_the_seed_gives_the_same_table_again():
    results = {"a": one_trial(random_means(6)), "b": one_trial(random_means(7))}
    table = compare_scores(results, n_permutations=50).to_dataframe()
    assert table.equals(compare_scores(results, n_permutations=50).to_dataframe())
    assert not table.equals(compare_scores(results, n_permutations=50, seed=1).to_dataframe())


def test_other_shapes_are_compared_by_profiles_and_said_so():
    results = {
        "small": one_trial(random_means(8, (4, 8))),
        "large": one_trial(random_means(9, (6, 5))),
    }
    found = compare_scores(results, n_permutations=20)
    (pair,) = found.pairs
    assert pair.compared == "profiles only: 4 x 8 against 6 x 5"
    assert pair.similarities == ()
    row = found.to_dataframe().iloc[0]
    assert math.isnan(row["pearson"])
    assert math.isnan(row["rbo_layer_null_high"])
    assert row["sorted_score_distance"] > 0
    assert -1 <= row["layer_profile_null_low"] <= row["layer_profile_null_high"] <= 1
    with pytest.raises(ValueError, match="compared one by one; found small and large"):
        pair["pearson"]


def test_groups_of_heads_that_share_a_key_value_head_are_compared():
    # The same groups, led by different heads: alike as groups, unlike as heads.
    first = torch.tensor([[0.9, 0, 0, 0], [0, 0, 0.5, 0]])
    second = torch.tensor([[0, 0.9, 0, 0], [0, 0, 0, 0.5]])
    results = {"a": one_trial(first), "b": one_trial(second)}
    heads = compare_scores(results, n_permutations=10).pairs[0]
    groups = compare_scores(results, n_kv_heads=2, group_by="max", n_permutations=10)
    assert heads["pearson"].value < 0
    assert groups.pairs[0]["pearson"].value == pytest.approx(1)
    assert (heads.n, groups.pairs[0].n) == (8, 4)
    assert groups.to_dataframe()["unit"].tolist() == ["KV group, max"]
    by_name = compare_scores(
        results, n_kv_heads={"a": 2, "b": 4}, group_by="max", n_permutations=10
    )
    assert by_name.pairs[0].compared == "profiles only: 2 x 2 against 2 x 4"
    with pytest.raises(ValueError, match=r"none found for \['b'\]"):
        compare_scores(results, n_kv_heads={"a": 2})


def test_whole_groups_change_places_and_heads_inside_them():
    shared = np.ones((3, 4), dtype=bool)
    shared[2, 3] = False
    for inside in (False, True):
        blocks = exchangeable_blocks(shared, 2, inside=inside)
        orders = random_orders(blocks, 2000, np.random.default_rng(0))
        assert (np.sort(orders, axis=1) == np.arange(11)).all()
        # Heads 2 i and 2 i + 1 stay neighbours; the single one has nowhere to go.
        pairs = orders[:, :10].reshape(2000, 5, 2) // 2
        assert (pairs[..., 0] == pairs[..., 1]).all()
        assert (orders[:, 10] == 10).all()
        assert len(set(map(tuple, pairs[..., 0].tolist()))) == (4 if inside else 120)
        layers = np.array([0, 0, 1, 1, 2])
        assert (layers[pairs[..., 0]] == layers).all() == inside


def test_arrangements_are_counted():
    scores = np.array([0.9, 0.8, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0])
    shared = np.ones((2, 4), dtype=bool)
    count = partial(count_arrangements, scores=scores)
    # Groups (.9 .8) (.5 .5) (0 0) (0 0): 4! / 2! places, and two orders of the first.
    assert count(exchangeable_blocks(shared, 2, inside=False)) == 24
    assert count(exchangeable_blocks(shared, 2, inside=True)) == 4
    assert count(exchangeable_blocks(shared, 1, inside=False)) == 8 * 7 * 15
    assert (
        count_arrangements(
            exchangeable_blocks(np.ones((32, 32), bool), 1, inside=False), np.arange(1024.0)
        )
        == math.inf
    )


def test_p_values_and_the_smallest_that_there_can_be():
    # Both heads of one group of eight: an equal model has 1 in 8 arrangements.
    means = torch.zeros(4, 4)
    means[1, 2:] = 0.9
    results = {"a": one_trial(means), "b": one_trial(means)}
    found = compare_scores(results, n_kv_heads=2, n_permutations=2000).pairs[0]
    pearson = found["pearson"]
    assert (found.permuted, found.n_arrangements, found.n_layer_arrangements) == (
        "KV groups of 2", 8, 2,
    )  # fmt: skip
    assert pearson.p == pearson.smallest_p == pytest.approx(1 / 8, abs=0.03)
    assert pearson.layer_p == pearson.smallest_layer_p == pytest.approx(1 / 2, abs=0.05)
    alone = compare_scores(results, n_permutations=2000).pairs[0]
    assert (alone.permuted, alone.n_arrangements) == ("heads", 16 * 15 / 2)
    assert alone["pearson"].p == pytest.approx(1 / 120, abs=0.006)


def test_groups_that_two_results_have_in_common():
    results = {name: one_trial(random_means(i)) for i, name in enumerate("ab")}

    def permuted(**counts: int | None) -> str:
        return compare_scores(results, n_kv_heads=counts, n_permutations=2).pairs[0].permuted

    assert permuted(a=4, b=2) == "KV groups of 4"
    assert permuted(a=4, b=None) == "KV groups of 2"
    assert permuted(a=None, b=None) == "heads"
    with pytest.raises(ValueError, match="n_kv_heads of 'b', to compare key-value groups; found n"):
        compare_scores(results, n_kv_heads={"a": 4, "b": None}, group_by="max")
    with pytest.raises(ValueError, match="Expected n_kv_heads to divide 8 heads; found 3"):
        compare_scores(results, n_kv_heads=3)


def test_a_statistic_without_a_value_has_no_p():
    results = {"a": one_trial(torch.ones(2, 4)), "b": one_trial(random_means(0, (2, 4)))}
    pearson = compare_scores(results, n_permutations=5).pairs[0]["pearson"]
    assert all(map(math.isnan, (pearson.value, pearson.p, pearson.layer_p)))


def test_group_means():
    means = np.array([[0.1, 0.3, NAN, 0.5], [NAN, NAN, 0.0, 0.2]])
    largest, mean = kv_group_means(means, 2), kv_group_means(means, 2, "mean")
    np.testing.assert_allclose(largest, [[0.3, 0.5], [NAN, 0.2]])
    np.testing.assert_allclose(mean, [[0.2, 0.5], [NAN, 0.1]])
    with pytest.raises(ValueError, match=r"Expected n_kv_heads to divide 4 heads.* found 3"):
        kv_group_means(means, 3)


def test_heads_without_a_score_in_one_result_are_left_out():
    first, second = random_means(10), random_means(11)
    whole = compare_scores({"a": one_trial(first[1:]), "b": one_trial(second[1:])})
    first[0], second[0, :4] = NAN, NAN
    found = compare_scores({"a": one_trial(first), "b": one_trial(second)})
    assert found.pairs[0].n == 24
    for name in STATISTICS:
        assert found.pairs[0][name].value == pytest.approx(whole.pairs[0][name].value)


def test_different_definitions_are_named():
    results = {"a": one_trial(random_means(1)), "b": make_scores(random_means(1)[None], "event")}
    table = compare_scores(results, n_permutations=10).to_dataframe()
    assert table["scores"].tolist() == ["position against event"]


def test_a_top_set_is_five_per_cent_of_the_heads_and_at_least_four():
    def size(shape: tuple[int, int], **options: int) -> int:
        results = {name: one_trial(random_means(i, shape)) for i, name in enumerate("ab")}
        return compare_scores(results, n_permutations=2, **options).pairs[0].k

    assert size((4, 8)) == 4
    assert size((32, 32)) == 51
    assert size((4, 8), k=7) == 7


def test_profiles():
    a = np.array([[0.0, 0.2], [0.4, 0.6], [1.0, 1.0]])
    assert layer_profile(a, np.linspace(0, 1, 5)).tolist() == pytest.approx(
        [0.1, 0.3, 0.5, 0.75, 1]
    )
    assert sorted_score_distance(a, np.repeat(a, 2, axis=1)) == pytest.approx(0)
    assert sorted_score_distance(a, a + 0.25) == pytest.approx(0.25)
    assert sorted_score_distance(np.array([[0.0, NAN]]), np.array([[0.5]])) == 0.5
    assert layer_profile_pearson(a, np.array([[0.0], [1.0]])) == pytest.approx(1)
    assert math.isnan(layer_profile_pearson(a, np.ones((3, 2))))
    assert math.isnan(layer_profile_pearson(a, np.array([[NAN]])))
    # A layer without attention is bridged.
    gap = np.array([[0.0], [NAN], [1.0]])
    assert layer_profile(gap, np.array([0.5])).tolist() == [0.5]
    with pytest.raises(ValueError, match="found 0 and 1"):
        sorted_score_distance(np.array([[NAN]]), np.array([[1.0]]))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.randoms())
def test_permuting_the_heads_of_both_changes_no_statistic(seed, random):
    order = random.sample(range(32), 32)
    a, b = random_means(seed).round(decimals=1), random_means(seed + 5000).round(decimals=1)
    moved = [m.flatten()[order].reshape(4, 8) for m in (a, b)]
    found = compare_scores({"a": one_trial(a), "b": one_trial(b)}, n_permutations=2).pairs[0]
    other = compare_scores(
        dict(zip("ab", map(one_trial, moved), strict=True)), n_permutations=2
    ).pairs[0]
    for name in STATISTICS:
        assert found[name].value == pytest.approx(other[name].value)
    assert found.sorted_score_distance == pytest.approx(other.sorted_score_distance)


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        ("a", {}, r"Expected two results or more; found \['a'\]"),
        ("ab", {"n_permutations": 0}, "n_permutations to be .* from 1 to 1000000; found 0"),
        ("ab", {"level": 1.0}, r"level to be .* above 0 and below 1; found 1\.0"),
        ("ab", {"k": 0}, "k to be a whole number from 1 to 32; found 0"),
        ("ab", {"p": 1.5}, r"p to be a number above 0 and below 1; found 1\.5"),
    ],
)
def test_bad_requests_are_refused(names, options, message):
    results = {name: one_trial(random_means(i)) for i, name in enumerate(names)}
    with pytest.raises(ValueError, match=message):
        compare_scores(results, **options)
