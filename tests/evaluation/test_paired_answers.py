import pandas as pd
import pytest

from rh_lens.evaluation import difference_interval, mean_interval
from rh_lens.evaluation.paired_answers import PairedAnswers

NEEDLES = [needle for needle in "abcdef" for _ in range(2)]
RECALLS = {
    "none": [1.0] * 12,
    "top": [0.0] * 10 + [1.0] * 2,
    "good": [1.0] * 12,
    "poor": [0.0] * 11 + [1.0],
}


def paired(recalls, needles, metric="recall", level=0.95):
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
    return PairedAnswers.of(pd.DataFrame(rows), metric, level=level)


def test_a_loss_is_tested_over_needles_not_prompts():
    # Five needles are lost whole, one is not: McNemar's test on prompts would say 1 / 1,024.
    assert paired(RECALLS, NEEDLES).loss("top", "none") == 1 / 2**5
    assert paired(RECALLS, NEEDLES).loss("none", "top") == 1.0


def test_means_and_differences_are_over_needles_and_draws():
    pairs = paired(RECALLS, NEEDLES, level=0.9)
    assert pairs.mean(["top"]) == mean_interval(RECALLS["top"], NEEDLES, level=0.9)
    draws = [RECALLS["good"], RECALLS["poor"]]
    assert pairs.mean(["good", "poor"]) == mean_interval(draws, NEEDLES, level=0.9)
    assert pairs.mean(["good", "poor"]).mean == pytest.approx(13 / 24)
    assert pairs.difference("top", ["good", "poor"], 2) == difference_interval(
        RECALLS["top"], draws, NEEDLES, level=0.9, n_possible=2
    )


def test_no_change_on_six_needles_is_not_yet_equivalence():
    assert paired(RECALLS, NEEDLES).equivalence("none", ["good"], 0.2) == pytest.approx(0.8**6)


def test_another_metric():
    recalls = {"none": [1.0] * 4, "top": [0.75] * 4}
    exact = paired(recalls, list("abcd"), "exact")
    assert exact.mean(["top"]).mean == 0.0
    assert exact.loss("top", "none") == 1 / 16
    assert paired(recalls, list("abcd"), "retrieved").loss("top", "none") == 1.0


def test_a_metric_that_there_is_not():
    with pytest.raises(ValueError, match="recall, exact, contains, retrieved; found 'rouge'"):
        # Past the annotations, which the tests check.
        PairedAnswers.of.__func__.__wrapped__(PairedAnswers, pd.DataFrame(), "rouge", level=0.95)
