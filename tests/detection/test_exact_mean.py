"""Means against Python's fractions."""

import math
import random
from fractions import Fraction

import pytest
import torch

from rh_lens.detection import RetrievalScores, exact_mean, whole_multiples
from rh_lens.heads import Head

NAN = math.nan


def scores_of(values) -> RetrievalScores:
    values = torch.as_tensor(values, dtype=torch.float64)
    return RetrievalScores(values, "position", tuple(range(len(values))))


def test_any_number_of_scores_at_the_threshold_reaches_it():
    """By plain summation 123 of these 400 means are below 0.1."""
    short = [n for n in range(1, 401) if not scores_of(torch.full((n, 1, 1), 0.1)).heads(0.1)]
    assert short == []
    plain = [torch.full((n,), 0.1, dtype=torch.float64).mean() < 0.1 for n in range(1, 401)]
    assert any(plain)


@pytest.mark.parametrize("threshold", [k / 20 for k in range(1, 21)])
@pytest.mark.parametrize("n", [3, 6, 7, 9, 49])
def test_a_head_that_copies_enough_in_all_reaches_the_threshold_however_it_is_spread(threshold, n):
    """Of answers of 20 tokens, 20 n threshold are copied: all in the first trials, none later."""
    left, values = round(20 * n * threshold), []
    for _ in range(n):
        copied = min(left, 20)
        values.append([[copied / 20]])
        left -= copied
    assert scores_of(values).heads(threshold) == [Head(0, 0)]
    assert scores_of(values).heads(threshold + 1e-12) == []


def test_means_of_counted_copies_are_those_of_their_fractions():
    rng = random.Random(0)
    lengths = [rng.randint(1, 31) for _ in range(40)]
    copies = [[rng.randint(0, 2 * n) for _ in range(60)] for n in lengths]
    values = [[c / n for c in row] for row, n in zip(copies, lengths, strict=True)]
    expected = [
        float(sum(Fraction(row[head], n) for row, n in zip(copies, lengths, strict=True)) / 40)
        for head in range(60)
    ]
    assert exact_mean(torch.tensor(values, dtype=torch.float64)).tolist() == expected


def test_copies_added_up_one_by_one_count_as_their_fractions():
    """Published scores are sums of 1/length, which rounding takes off their fractions."""
    summed = [sum([1 / n] * k) for n in range(1, 32) for k in range(2 * n)]
    exact = [k / n for n in range(1, 32) for k in range(2 * n)]
    assert summed != exact
    assert exact_mean(torch.tensor([summed], dtype=torch.float64)).tolist() == exact


@pytest.mark.parametrize("n", [1, 2, 3, 10, 101])
def test_means_of_other_numbers_are_those_of_the_numbers_themselves(n):
    values = torch.rand(n, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
    values = values ** torch.arange(1, 51)
    expected = [float(sum(map(Fraction, column)) / n) for column in values.T.tolist()]
    assert exact_mean(values).tolist() == expected


@pytest.mark.parametrize("make", [lambda p: p, lambda p: [round(7 * x) / 7 for x in p]])
def test_heads_with_the_same_scores_in_another_order_tie(make):
    """535 of 2,000 such pairs differ by plain summation."""
    rng = random.Random(1)
    pairs = []
    for _ in range(300):
        one = make([rng.random() for _ in range(10)])
        pairs.append((one, rng.sample(one, 10)))
    means = exact_mean(torch.tensor(pairs, dtype=torch.float64).permute(2, 0, 1))
    assert torch.equal(means[:, 0], means[:, 1])
    ranking = scores_of([[[a, b]] for a, b in zip(*pairs[0], strict=True)]).ranking()
    assert ranking == [Head(0, 0), Head(0, 1)]


def test_trials_out_of_sight_do_not_count():
    values = torch.tensor([[0.1, NAN, 0.5], [NAN, NAN, 0.25], [0.1, NAN, 0.0]], dtype=torch.float64)
    assert exact_mean(values)[[0, 2]].tolist() == [0.1, 0.25]
    assert math.isnan(exact_mean(values)[1])
    assert exact_mean(torch.zeros(0, 2, 3)).isnan().all()


def test_denominators_may_have_a_huge_common_multiple():
    """Answers of 1 to 400 tokens: the common denominator has 171 digits."""
    values = torch.tensor([[1 / n] for n in range(1, 401)], dtype=torch.float64)
    assert math.lcm(*range(1, 401)) > 10**170
    expected = sum(Fraction(1, n) for n in range(1, 401)) / 400
    assert exact_mean(values).tolist() == [float(expected)]


def test_scores_of_answers_become_whole_numbers_and_others_stay():
    values = torch.tensor([[0.1, 3 / 7, NAN], [0.0, 1.0, 0.5]], dtype=torch.float64)
    whole = whole_multiples(values)
    assert whole[:, :2].tolist() == [[7.0, 30.0], [0.0, 70.0]]
    assert whole[1, 2] == 35
    assert whole[0, 2].isnan()
    others = torch.tensor([[0.1, math.pi]], dtype=torch.float64)
    assert whole_multiples(others) is others
    large = torch.tensor([[1 / n] for n in range(1, 401)], dtype=torch.float64)
    assert whole_multiples(large) is large


def test_infinite_scores_are_refused():
    with pytest.raises(ValueError, match=r"Expected scores that are finite, .* found 1 infinite"):
        scores_of([[[0.5, math.inf]]])


def test_the_caller_may_change_what_mean_gives():
    scores = scores_of([[[0.5]]])
    scores.mean().zero_()
    assert scores.mean().tolist() == [[0.5]]


def test_the_mean_of_the_largest_numbers_is_no_overflow():
    largest = torch.full((3, 1, 1), torch.finfo(torch.float64).max, dtype=torch.float64)
    assert exact_mean(largest).item() == largest[0, 0, 0]
