import math

import pandas as pd
import pytest

from rh_lens.evaluation.paired import TESTS, PairedAnswers


def answers(recalls, needles):
    """Answers of each condition to the same prompts, by their recall."""
    rows = [
        {
            "condition": condition,
            "trial": trial,
            "needle": needles[trial],
            "recall": recall,
            "exact": recall == 1.0,
            "retrieved": recall > 0.5,
        }
        for condition, values in recalls.items()
        for trial, recall in enumerate(values)
    ]
    return pd.DataFrame(rows)


def paired(recalls, needles, metric="recall"):
    table = answers(recalls, needles)
    return PairedAnswers.of(table, metric, level=0.95, n_resamples=500, seed=0)


NEEDLES = [needle for needle in "abcdef" for _ in range(2)]
RECALLS = {
    "none": [1.0] * 12,
    "top": [0.0] * 10 + [1.0] * 2,
    "good": [1.0] * 12,
    "fair": [1.0] * 12,
    "poor": [0.0] * 11 + [1.0],
}


def test_a_typical_control_is_what_the_top_heads_are_paired_with():
    tests = paired(RECALLS, NEEDLES).tests("top", "none", ["good", "fair", "poor"])
    # Two of three draws answer every prompt; of those ten are lost with the top heads.
    assert tests["p_mcnemar"] == pytest.approx(1 / 2**10)
    assert tests["p_untouched"] == pytest.approx(1 / 2**10)
    # Five of six needles are worse than in the mean over draws, one is better.
    assert tests["p_sign"] == pytest.approx(7 / 64)
    # One of three draws is as harmful.
    assert tests["p_permutation"] == 2 / 4


def test_half_of_the_draws_is_not_most_of_them():
    tests = paired(RECALLS, NEEDLES).tests("top", "none", ["good", "poor"])
    assert tests["p_mcnemar"] == pytest.approx(1.0)


def test_without_controls_only_the_untouched_model_is_compared_with():
    tests = paired(RECALLS, NEEDLES).tests("top", "none", [])
    assert tests.pop("p_untouched") == pytest.approx(1 / 2**10)
    assert set(tests) == set(TESTS) - {"p_untouched"}
    assert all(math.isnan(value) for value in tests.values())


def test_bands_and_spreads():
    pairs = paired(RECALLS, NEEDLES)
    band = pairs.band("control", ["good", "poor"])
    assert band["control"] == pytest.approx(13 / 24)
    assert band["control_low"] <= 13 / 24 <= band["control_high"]
    assert pairs.spread(["good", "poor"]) == {
        "control_lowest": pytest.approx(1 / 12),
        "control_highest": 1.0,
    }
    assert all(math.isnan(value) for value in pairs.band("control", []).values())
    assert all(math.isnan(value) for value in pairs.spread([]).values())


def test_needles_are_resampled_not_prompts():
    # Two needles: a resample has both, or one of them twice, so the ends are their means.
    recalls = {"top": [0.0] * 6 + [1.0] * 6}
    assert paired(recalls, ["a"] * 6 + ["b"] * 6).band("top", ["top"]) == {
        "top": 0.5,
        "top_low": 0.0,
        "top_high": 1.0,
    }
    one_needle = paired(recalls, ["a"] * 12).band("top", ["top"])
    assert 0.1 < one_needle["top_low"] < 0.5 < one_needle["top_high"] < 0.9


def test_another_metric_is_its_own_yes_or_no():
    recalls = {"none": [1.0] * 4, "top": [0.75] * 4}
    assert paired(recalls, list("abcd")).tests("top", "none", [])["p_untouched"] == 1.0
    exact = paired(recalls, list("abcd"), "exact")
    assert exact.band("top", ["top"])["top"] == 0.0
    assert exact.tests("top", "none", [])["p_untouched"] == 1 / 16


def test_a_metric_that_there_is_not():
    table = answers(RECALLS, NEEDLES)
    with pytest.raises(ValueError, match="recall, exact, contains, retrieved; found 'rouge'"):
        # Past the annotations, which the tests check.
        PairedAnswers.of.__func__.__wrapped__(
            PairedAnswers, table, "rouge", level=0.95, n_resamples=9, seed=0
        )
