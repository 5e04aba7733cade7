"""Verdicts follow intervals and p-values, and a checklist says so."""

import pandas as pd
import pytest

from rh_lens.doubts import (
    Checklist,
    Doubt,
    DoubtLog,
    all_of,
    verdict_above,
    verdict_pvalue,
    verdict_within,
)
from rh_lens.evaluation import Estimate
from rh_lens.views import summarise


def estimate(low, high):
    return Estimate((low + high) / 2, low, high, 12)


def doubt(name="a", verdict="supported"):
    return Doubt(name, "It holds.", "a test", "0.5", verdict, "much", pd.DataFrame({"x": [1.5]}))


def test_a_value_is_above_a_bound_if_its_whole_interval_is():
    assert verdict_above(estimate(0.1, 0.5)) == "supported"
    assert verdict_above(estimate(-0.1, 0.5)) == "undecided"
    assert verdict_above(estimate(-0.5, 0.0)) == "not supported"
    assert verdict_above(estimate(0.1, 0.5), 0.2) == "undecided"


def test_equivalence_needs_the_whole_interval_inside():
    assert verdict_within(estimate(-0.05, 0.05), 0.1) == "supported"
    assert verdict_within(estimate(-0.05, 0.15), 0.1) == "undecided"
    assert verdict_within(estimate(0.1, 0.3), 0.1) == "not supported"


def test_a_test_that_can_reject_nothing_decides_nothing():
    assert verdict_pvalue(0.05, smallest=0.05) == "supported"
    assert verdict_pvalue(0.2, smallest=0.05) == "not supported"
    assert verdict_pvalue(0.2, smallest=0.1) == "undecided"


def test_several_must_all_hold():
    assert all_of(["supported", "supported"]) == "supported"
    assert all_of(["supported", "undecided"]) == "undecided"
    assert all_of(["undecided", "not supported"]) == "not supported"


def test_a_checklist_counts_and_says_what_speaks_against_first():
    found = Checklist((doubt(), doubt("b", "undecided")), (("c", "no time"),))
    assert repr(found) == "Checklist(1 supported, 0 not supported, 1 undecided, 1 left out)"
    assert list(found.to_dataframe().columns[:3]) == ["name", "against", "claim"]
    text = summarise(found)
    assert text.index("against: much") < text.index("result:  0.5")
    assert text.endswith("1 supported, 0 not supported, 1 undecided, 1 left out.")
    assert "left out  c: no time" in text


def test_what_is_settled_is_kept_and_comes_back(tmp_path):
    log = DoubtLog(tmp_path, {"heads": ["L0H1"]})
    log.add(doubt())
    again = DoubtLog(tmp_path, {"heads": ["L0H1"]})
    assert again.doubts["a"] == doubt()
    assert again.doubts["a"].table["x"].tolist() == [1.5]
    with pytest.raises(ValueError, match="another heads"):
        DoubtLog(tmp_path, {"heads": ["L0H2"]})
    (tmp_path / "doubts.json").write_text("{")
    with pytest.raises(ValueError, match="JSONDecodeError"):
        DoubtLog(tmp_path, {"heads": ["L0H1"]})
