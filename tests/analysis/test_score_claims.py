"""The paper's claims about scores, on a result whose figures are known."""

import math
from dataclasses import replace

import pytest
from page_cases import page_result

from rh_lens.analysis import claims_of_scores, score_intervals


def by_name(result, *others):
    return {claim.name: claim for claim in claims_of_scores(result, *others)}


@pytest.fixture(scope="module")
def result():
    """16 right trials about 3 needles; of 12 heads one copies always, 10 never, 1 sees nothing."""
    return page_result()


def test_the_figures_are_those_of_the_run(result):
    found = by_name(result)
    assert list(found) == ["universal", "sparse", "silent", "dynamic", "intrinsic"]
    assert found["universal"].value == 1
    assert found["sparse"].value == 1 / 11
    assert found["silent"].value == 10 / 11
    assert found["dynamic"].value == 0
    assert math.isnan(found["intrinsic"].value)
    assert {found[name].n for name in ("universal", "sparse", "silent", "dynamic")} == {3}


def test_the_intervals_are_those_of_score_intervals(result):
    expected = score_intervals(result, threshold=0.1).n_heads_interval
    found = by_name(result)
    assert (found["universal"].low, found["universal"].high) == expected
    assert found["sparse"].low == expected[0] / 11
    given = by_name(result, score_intervals(result, threshold=0.1))
    assert repr(given) == repr(found)


def test_a_share_of_zeros_and_a_second_model_decide_nothing(result):
    found = by_name(result)
    assert found["silent"].verdict == found["intrinsic"].verdict == "undecided"


def test_one_needle_decides_nothing_about_heads():
    result = page_result()
    names = {trial.index for trial in result.accepted if trial.prompt.needle.question.endswith("0")}
    keep = [place for place, index in enumerate(result.scores.trials) if index in names]
    scores = replace(
        result.scores,
        values=result.scores.values[keep],
        trials=tuple(result.scores.trials[place] for place in keep),
    )
    trials = tuple(trial for trial in result.trials if trial.index in names)
    found = by_name(replace(result, scores=scores, trials=trials))
    assert math.isnan(found["universal"].low)
    assert {found[name].verdict for name in ("universal", "sparse", "dynamic")} == {"undecided"}


def test_heads_that_wake_now_and_then_are_dynamic(result):
    values = result.scores.values.clone()
    values[::2, -1, -1] = 0
    found = by_name(replace(result, scores=replace(result.scores, values=values)))
    assert found["dynamic"].value == 0.5
    assert "0 of 1 were active in every trial" in found["dynamic"].against


def test_without_retrieval_heads_nothing_can_be_dynamic(result):
    found = by_name(replace(result, threshold=0.9))
    assert found["universal"].value == 0
    assert found["dynamic"].against == "There are no retrieval heads."
