"""Difference-in-differences over documents: coverage, the level of equivalence, and power."""

import numpy as np
import pytest
from simulate import Rate

from rh_lens.evaluation import sign_flip_pvalue
from rh_lens.evaluation.tasks.two_changes import changes_equivalence_pvalue, difference_of_changes

LEVEL = 0.05
N_ITEMS = 2
CASES = {
    # What each way loses, and whether the items of a document fall together.
    "both fall, items apart": (0.5, 0.3, False),
    "both fall, whole documents": (0.5, 0.3, True),
    "the chain alone falls": (0.6, 0.0, True),
    "few fall": (0.1, 0.05, False),
    "alike": (0.3, 0.3, False),
}


def two_ways(case, rng, n_documents):
    """Scores of the items under silencing and without, for both ways; half of what is right falls.

    The untouched model is right on 0.9 of the items in one way and 0.7 in the other.
    """
    ways = []
    for lost, right in zip(CASES[case][:2], (0.9, 0.7), strict=True):
        before = rng.random((n_documents, N_ITEMS)) < right
        width = 1 if CASES[case][2] else N_ITEMS
        falls = rng.random((n_documents, width)) < lost
        ways.append(((before & ~falls).ravel().astype(float), before.ravel().astype(float)))
    truth = -0.9 * CASES[case][0] + 0.7 * CASES[case][1]
    return ways, truth


@pytest.mark.parametrize("n_documents", [12, 60])
@pytest.mark.parametrize("case", CASES)
def test_the_interval_holds_the_difference_of_changes(case, n_documents, repeats, record):
    rng, n_cases = np.random.default_rng(n_documents), repeats(quick=12, full=300)
    names = [f"d{at}" for at in np.repeat(np.arange(n_documents), N_ITEMS)]
    hits = 0
    for _ in range(n_cases):
        (first, second), truth = two_ways(case, rng, n_documents)
        found = difference_of_changes(first, second, names)
        hits += found.low <= truth <= found.high
    rate = record(Rate("difference of changes", case, n_documents, hits, n_cases, "coverage"))
    assert rate.at_least(0.94)


@pytest.mark.parametrize("n_documents", [12, 60])
def test_a_difference_at_the_margin_is_rarely_called_none(n_documents, repeats, record):
    rng, n_cases = np.random.default_rng(n_documents), repeats(quick=5, full=150)
    names = [f"d{at}" for at in range(n_documents)]
    hits = 0
    for _ in range(n_cases):
        before = np.ones(n_documents)
        first = (before - (rng.random(n_documents) < 0.2), before)
        p = changes_equivalence_pvalue(first, (before, before), names, margin=0.2)
        hits += p <= LEVEL
    rate = record(Rate("equivalence of changes", "at 0.2", n_documents, hits, n_cases, "level"))
    assert rate.at_most(LEVEL)


@pytest.mark.parametrize("n_documents", [12, 30])
def test_a_chain_that_loses_more_is_found_and_an_equal_one_is_not(n_documents, repeats, record):
    rng, n_cases = np.random.default_rng(n_documents), repeats(quick=40, full=300)
    names = [f"d{at}" for at in np.repeat(np.arange(n_documents), N_ITEMS)]
    for case, what in (("the chain alone falls", "power"), ("alike at 0.9", "level")):
        hits = 0
        for _ in range(n_cases):
            if what == "power":
                (first, second), _ = two_ways(case, rng, n_documents)
            else:
                first, second = (
                    ((before & ~(rng.random(before.shape) < 0.3)).astype(float), before * 1.0)
                    for before in rng.random((2, n_documents * N_ITEMS)) < 0.9
                )
            differences = (first[0] - first[1]) - (second[0] - second[1])
            hits += sign_flip_pvalue(differences, names, n_flips=999) <= LEVEL
        rate = record(Rate("sign flips of two changes", case, n_documents, hits, n_cases, what))
        assert rate.at_least(0.9) if what == "power" else rate.at_most(LEVEL)
