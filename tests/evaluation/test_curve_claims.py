"""The paper's claims about silencing, on tables whose figures are known."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from rh_lens.evaluation import (
    AblationTables,
    claims_of_ablation,
    difference_interval,
    equivalence_pvalue,
    mean_interval,
    unmeasured_silencing,
)

NAMES = ["causal", "top", "specific", "hallucination"]
NEEDLES = [f"needle {index // 2}" for index in range(60)]
RECALL = {
    "none": [1.0] * 60,
    "top-2": [0.0] * 58 + [1.0] * 2,
    "layer-0": [1.0] * 60,
    "layer-1": [1.0] * 60,
    "any-0": [0.0] * 60,
}
SETS = [
    ("none", 0, "none", None),
    ("top-2", 2, "top", None),
    ("layer-0", 2, "control", "layer"),
    ("layer-1", 2, "control", "layer"),
    ("any-0", 2, "control", "any"),
]


def tables(recall=RECALL, p_heads=0.05, margin=0.1, errors="hallucination"):
    rows = [
        {"condition": name, "trial": trial, "needle": NEEDLES[trial], "recall": value}
        for name, values in recall.items()
        for trial, value in enumerate(values)
    ]
    top = mean_interval(recall["top-2"], NEEDLES)
    change = difference_interval(recall["top-2"], recall["none"], NEEDLES)
    curve = {"k": [0, 2], "n_needles": 30, "metric": "recall", "level": 0.95, "n_rankings": 19}
    curve |= {"p_heads": [math.nan, p_heads], "p_smallest": 0.05}
    for name, found in {"top": top, "change": change}.items():
        curve |= {key: [math.nan, value] for key, value in found.named(name).items()}
    controls = {"k": [2, 2], "match": ["any", "layer"], "n_draws": [1, 2], "margin": margin}
    failed = [trial for trial, value in enumerate(recall["top-2"]) if not value]
    return AblationTables(
        curve=pd.DataFrame(curve),
        controls=pd.DataFrame(controls | {"n_possible": [100, 100]}),
        answers=pd.DataFrame(rows),
        heads=pd.DataFrame(SETS, columns=["condition", "k", "kind", "match"]),
        errors=pd.DataFrame({"condition": "top-2", "trial": failed, "error": errors}),
    )


def by_name(found):
    return {claim.name: claim for claim in found}


def test_heads_that_matter_alone_hold_every_claim():
    found = by_name(claims_of_ablation(tables(), 2))
    assert list(found) == NAMES
    assert {claim.verdict for claim in found.values()} == {"holds"}
    assert {claim.n for name, claim in found.items() if name != "hallucination"} == {30}
    assert found["causal"].value == 2 / 60
    assert found["top"].value == -58 / 60
    assert found["specific"].value == 0
    assert found["hallucination"].value == 1


def test_heads_that_do_not_matter_hold_none():
    recall = RECALL | {"top-2": [1.0] * 59 + [0.0], "layer-0": [0.0] * 60, "layer-1": [0.0] * 60}
    found = by_name(claims_of_ablation(tables(recall, p_heads=0.9), 2))
    assert found["causal"].verdict == found["specific"].verdict == "does not hold"
    assert found["top"].verdict == "undecided"
    assert found["specific"].value == -1
    assert found["hallucination"].n == 1


@pytest.mark.parametrize("margin", [0.05, 0.07, 0.1, 0.11, 0.2])
def test_no_effect_of_others_is_the_equivalence_test(margin):
    lost = [0.0] * 2 + [1.0] * 58
    recall = RECALL | {"layer-0": lost, "layer-1": [1.0] * 60}
    draws = [lost, [1.0] * 60]
    found = by_name(claims_of_ablation(tables(recall, margin=margin), 2))["specific"]
    p = equivalence_pvalue(recall["none"], draws, NEEDLES, margin=margin, n_possible=100)
    assert found.value == pytest.approx(-1 / 60)
    assert (found.verdict == "holds") == (p <= 0.05)


def test_what_was_not_asked_is_said():
    whole = tables()
    bare = by_name(claims_of_ablation(AblationTables(whole.curve), 2))
    assert bare["specific"].against.startswith("No 2 other heads are left")
    assert bare["hallucination"].against == "How answers fail was not looked into."
    none = replace(whole, errors=whole.errors.iloc[:0])
    assert "No answer failed" in by_name(claims_of_ablation(none, 2))["hallucination"].against
    untested = by_name(claims_of_ablation(tables(p_heads=math.nan), 2))["top"]
    assert untested.verdict == "undecided"
    assert "--rankings" in untested.against


def test_claims_without_figures_have_the_same_names():
    found = unmeasured_silencing("No time was left.")
    assert [claim.name for claim in found] == NAMES
    assert {claim.verdict for claim in found} == {"undecided"}


def test_another_number_of_heads_is_refused():
    with pytest.raises(ValueError, match=r"one of \[0, 2\]; found 3"):
        claims_of_ablation(tables(), 3)
