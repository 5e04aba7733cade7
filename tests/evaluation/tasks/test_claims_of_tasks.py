"""Verdicts on the paper's claims about tasks, from effects planted in answers."""

from typing import Any

from planted_curves import planted_curve, sums

from rh_lens.evaluation.tasks import TaskCurve, claims_of_tasks, task_tables


def curve(model: Any, name: str, is_right: Any) -> TaskCurve:
    return planted_curve(model, is_right, items=sums(30), name=name)


def verdicts(*curves: TaskCurve) -> dict[str, str]:
    return {one.name: one.verdict for one in claims_of_tasks(task_tables(*curves, margin=0.1))}


def test_what_the_paper_claims_is_found_where_it_is_planted(llama: Any) -> None:
    chain = curve(llama, "sums-chain", lambda kind, at: kind != "top" or at % 3 == 0)
    alone = curve(llama, "sums", lambda kind, at: at % 2 == 0)
    assert verdicts(chain, alone) == {
        "reading": "undecided",
        "chain": "holds",
        "answer-only": "holds",
        "chain-more": "holds",
    }


def test_the_reverse_is_found_too(llama: Any) -> None:
    chain = curve(llama, "sums-chain", lambda kind, at: True)
    alone = curve(llama, "sums", lambda kind, at: kind != "top")
    assert verdicts(chain, alone) == {
        "reading": "undecided",
        "chain": "does not hold",
        "answer-only": "does not hold",
        "chain-more": "does not hold",
    }
    assert verdicts(alone)["reading"] == "holds"


def test_a_model_that_can_do_nothing_has_nothing_to_lose(llama: Any) -> None:
    chain = curve(llama, "sums-chain", lambda kind, at: False)
    alone = curve(llama, "sums", lambda kind, at: True)
    found = {one.name: one for one in claims_of_tasks(task_tables(chain, alone), 2)}
    assert not found["chain"].is_measured
    assert "nothing to lose" in found["chain"].against
    assert not found["chain-more"].is_measured
    assert (found["answer-only"].value, found["answer-only"].n) == (0, 30)
