"""The paper's claims about tasks, on tables whose figures are known."""

import math

import pandas as pd
import pytest

from rh_lens.evaluation.tasks import TaskTables, claims_of_task, unmeasured_tasks

CURVE = {
    "task": "qa", "k": 4, "top": 0.2, "change": -0.7, "change_low": -0.9, "change_high": -0.4,
    "p_documents": 0.001, "p_heads": 0.05, "p_equivalent": 1.0, "n_documents": 12, "n_items": 24,
    "metric": "f1", "margin": 0.05,
}  # fmt: skip
WAYS = {
    "k": 4, "first_change": -0.5, "second_change": 0.0, "difference": -0.5, "difference_low": -0.75,
    "difference_high": -0.25, "p_first": 0.002, "p_equivalent": 1.0, "n_documents": 12,
    "n_items": 24, "metric": "exact",
}  # fmt: skip


def tables(ways=False, **values):
    curve = [CURVE | {"k": 0, "change": math.nan}, CURVE | ({} if ways else values)]
    both = pd.DataFrame([WAYS | values]) if ways else None
    return TaskTables(pd.DataFrame(curve), ways=both)


@pytest.mark.parametrize(
    ("p_for", "p_against", "verdict"),
    [
        (0.001, 1.0, "holds"),
        (0.3, 1.0, "undecided"),
        (0.9, 0.01, "does not hold"),
        (math.nan, math.nan, "undecided"),
    ],
)
def test_a_fall_holds_and_only_equivalence_refutes(p_for, p_against, verdict):
    (claim,) = claims_of_task(tables(p_documents=p_for, p_equivalent=p_against))
    assert (claim.name, claim.verdict, claim.value, claim.n) == ("reading", verdict, -0.7, 12)
    (claim,) = claims_of_task(tables(ways=True, p_first=p_for, p_equivalent=p_against), 4)
    assert (claim.name, claim.verdict, claim.value) == ("chain", verdict, -0.5)


def test_another_number_of_heads_is_refused():
    with pytest.raises(ValueError, match=r"one of \[4\]; found 3"):
        claims_of_task(tables(), 3)
    none = TaskTables(pd.DataFrame([CURVE | {"k": 0}]))
    with pytest.raises(ValueError, match="only 0"):
        claims_of_task(none)


def test_claims_without_figures_are_both_there():
    found = unmeasured_tasks("No time was left.")
    assert [(one.name, one.verdict) for one in found] == [
        ("reading", "undecided"),
        ("chain", "undecided"),
    ]
