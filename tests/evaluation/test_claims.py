"""A verdict rests on an interval or on p-values, never on an estimate."""

import math

import numpy as np
import pytest

from rh_lens.evaluation import Claim, claims_table, mean_interval, unmeasured_claim


def claim(**values):
    texts = dict.fromkeys("name statement paper place what command against".split(), "words")
    return Claim(**(texts | {"value": 0.5} | values))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.4, 0.6, "undecided"),
        (0.45, 0.7, "undecided"),
        (0.46, 0.5, "undecided"),
        (0.5, 0.7, "holds"),
        (0.5, 0.5, "holds"),
        (0.2, 0.499, "does not hold"),
        (math.nan, math.nan, "undecided"),
        (0.5, math.nan, "undecided"),
    ],
)
def test_the_whole_interval_decides(low, high, verdict):
    value = high if high == high else low
    found = claim(value=value, low=low, high=high, region=(0.5, 1.0))
    assert found.verdict == verdict


def test_without_an_interval_an_estimate_decides_nothing():
    assert claim(value=1.0, region=(0.5, 1.0)).verdict == "undecided"
    assert claim(value=1.0, low=0.9, high=1.0).verdict == "undecided"


@pytest.mark.parametrize(
    ("p_for", "p_against", "verdict"),
    [
        (0.05, None, "holds"),
        (0.051, None, "undecided"),
        (0.9, None, "undecided"),
        (None, 0.01, "does not hold"),
        (None, 0.99, "undecided"),
        (0.9, 0.01, "does not hold"),
        (0.01, 0.9, "holds"),
        (0.01, 0.01, "undecided"),
        (math.nan, math.nan, "undecided"),
        (math.nan, 0.01, "does not hold"),
    ],
)
def test_p_values_decide_and_a_large_one_decides_nothing(p_for, p_against, verdict):
    assert claim(p_for=p_for, p_against=p_against).verdict == verdict


def test_the_level_is_alpha():
    assert claim(p_for=0.02, level=0.99).verdict == "undecided"
    assert claim(p_for=0.02, level=0.95).verdict == "holds"


def test_a_claim_on_the_edge_is_decided_in_few_samples():
    """Truth at the region's edge: one side of a 95 % interval's misses, 2.5 %, is a false hold."""
    rng = np.random.default_rng(0)
    verdicts = []
    for _ in range(600):
        answers = rng.random(24) < 0.5
        estimate = mean_interval(answers, np.arange(24))
        of_claim = {"value": estimate.mean, "low": estimate.low, "high": estimate.high}
        verdicts.append(claim(**of_claim, region=(0.5, 1.0)).verdict)
    # 0.025 and three standard errors of 600 simulations
    assert verdicts.count("holds") / 600 <= 0.044
    assert verdicts.count("does not hold") / 600 <= 0.044


def test_both_ways_to_decide_are_refused():
    with pytest.raises(ValueError, match="found both"):
        claim(region=(0.0, 1.0), p_for=0.1)


def test_the_table_has_the_verdict_and_what_it_rests_on():
    holds = claim(name="sparse", low=0.4, high=0.6, region=(0.0, 0.9), n=12)
    why = {"paper": "12 heads", "place": "section 3.2", "what": "heads", "command": "rh-lens x"}
    other = unmeasured_claim("dynamic", "Some always fire.", why="no time was left", **why)
    table = claims_table([holds, other])
    assert table["claim"].tolist() == ["sparse", "dynamic"]
    assert table["verdict"].tolist() == ["holds", "undecided"]
    assert table["n"].tolist() == [12, 0]
    assert table["against"].tolist() == ["words", "no time was left"]
    assert not other.is_measured
    assert claims_table([]).columns.tolist() == table.columns.tolist()
