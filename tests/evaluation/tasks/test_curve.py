"""Tasks with heads silenced: the bundled model, and effects planted in answers."""

import math

import pytest
from planted_curves import RANKING, planted_curve, sums

from rh_lens.demo.tasks import chain_items, choice_items, reading_items, sum_items
from rh_lens.evaluation.tasks import (
    CHAIN,
    CHOICES,
    READING,
    READING_CHAIN,
    Task,
    choice_letter,
    difference_in_differences,
    evaluate_task,
    exact_match,
    final_answer,
    first_line,
    last_number,
    same_letter,
    same_number,
    task_curve,
    token_f1,
)
from rh_lens.interventions import zero_ablation
from rh_lens.runtime import Condition

RETRIEVAL = ["L2H4", "L2H5", "L2H3", "L2H2"]


@pytest.fixture(scope="module")
def reading():
    scores = {"f1": token_f1, "exact": exact_match}
    items = reading_items(3, n_facts=2, n_sentences=3, seed=5)
    return Task("reading", items, READING, first_line, scores)


@pytest.fixture(scope="module")
def curve(demo_model, reading):
    return task_curve(
        demo_model, reading, RETRIEVAL, ks=[4], n_rankings=2, scope="decode", progress=False
    )


def test_reading_falls_under_the_top_heads_and_not_under_the_others(curve):
    table = curve.to_dataframe().set_index("k")
    assert table.loc[0, "top"] > 0.9
    assert table.loc[4, "top"] < 0.2
    assert table.loc[4, "p_documents"] == 1 / 2**3
    assert table[["n_documents", "n_items"]].iloc[0].tolist() == [3, 6]
    (control,) = curve.controls_to_dataframe().to_dict("records")
    assert control["control"] > 0.9
    assert control["difference"] < -0.7
    assert repr(curve).startswith("TaskCurve('reading', 6 items; mean f1 with the top K silenced")


def test_what_is_done_is_not_asked_again(curve, demo_model, reading):
    asked = []
    again = task_curve(
        demo_model, reading, RETRIEVAL, ks=[4], n_rankings=2, scope="decode", progress=False,
        done=curve.kept, on_answers=asked.append,
    )  # fmt: skip
    assert asked == []
    assert again.answers.equals(curve.answers)


@pytest.mark.slow
def test_hooks_by_name_and_their_summary(demo_model, reading):
    off = Condition(zero_ablation(RETRIEVAL, model=demo_model), "decode")
    result = evaluate_task(demo_model, reading, {"plain": [], "off": off}, progress=False)
    table = result.summary().set_index("condition")
    assert table.loc["plain", "exact"] > 0.8 > 0.2 > table.loc["off", "f1"]
    assert table["n_documents"].tolist() == [3, 3]
    assert result.answers["item"].tolist() == [item.id for item in reading.items] * 2


@pytest.mark.slow
def test_every_kind_of_task_runs_on_the_bundled_model(demo_model):
    number = {"accuracy": same_number}
    tasks = [
        Task("sums", sum_items(2), CHAIN, last_number, number, 12, ("\n\n",)),
        Task("chain", chain_items(2), READING_CHAIN, final_answer, {"f1": token_f1}, 12),
        Task("choose", choice_items(4), CHOICES, choice_letter, {"accuracy": same_letter},
             answering="choose"),
        Task("letter", choice_items(2), CHOICES, choice_letter, {"accuracy": same_letter}, 4),
    ]  # fmt: skip
    for task in tasks:
        result = evaluate_task(demo_model, task, progress=False)
        assert len(result.answers) == len(task.items)
        if task.answering == "choose":
            assert set(result.answers["answer"]) <= set("ABCD")


def test_choosing_takes_the_likeliest_letter_under_the_condition(demo_model):
    task = Task("choose", choice_items(3), CHOICES, choice_letter, {"accuracy": same_letter},
                answering="choose")  # fmt: skip
    off = Condition(zero_ablation(RETRIEVAL, model=demo_model), "both")
    result = evaluate_task(demo_model, task, {"plain": [], "off": off}, progress=False)
    letters = [demo_model.tokenizer.encode(f" {c}", add_special_tokens=False)[0] for c in "ABCD"]
    for name, hooks in {"plain": [], "off": off.hooks}.items():
        own = result.answers[result.answers["condition"] == name]["answer"].tolist()
        for prompt, said in zip(result.prompts, own, strict=True):
            with demo_model.hooks(fwd_hooks=hooks):
                row = demo_model(prompt.tokens[None])[0, -1]
            assert said == "ABCD"[int(row[letters].argmax())]


def test_the_chain_falls_and_the_answer_alone_stays(llama):
    items = sums(24, per_document=2)
    chain = planted_curve(llama, lambda kind, at: kind != "top" or at % 4 == 0, items=items)
    alone = planted_curve(llama, lambda kind, at: at % 2 == 0, items=items)
    (row,) = difference_in_differences(chain, alone).to_dict("records")
    assert row["first_change"] == -0.75
    assert row["second_change"] == 0
    assert row["difference"] == -0.75
    assert row["difference_high"] < -0.2
    assert row["p_first"] == 1 / 2**12
    assert row["p_second"] == 1
    assert row["p_heads"] == 1 / 6
    assert row["p_equivalent"] == 1
    assert row["control"] == 0
    assert (row["n_items"], row["n_documents"], row["n_draws"]) == (24, 12, 1)
    (back,) = difference_in_differences(alone, chain).to_dict("records")
    assert back["difference"] == 0.75
    assert back["p_first"] == 1 > 0.001 > back["p_second"]


def test_the_answer_alone_falls_and_the_chain_stays(llama):
    items = sums(20)
    chain = planted_curve(llama, lambda kind, at: True, items=items)
    alone = planted_curve(llama, lambda kind, at: kind != "top", items=items)
    (row,) = difference_in_differences(chain, alone).to_dict("records")
    assert row["difference"] == 1
    assert row["p_second"] == 1 / 2**20
    assert row["p_first"] == 1


def test_leaving_alone_is_a_claim_of_its_own(llama):
    # No difference on 30 documents shows a margin of 0.1, on 10 it shows nothing.
    for n, p in ((30, 0.05), (10, 0.2)):
        same = planted_curve(llama, lambda kind, at: at % 5 > 0, items=sums(n))
        table = same.to_dataframe(margin=0.1).set_index("k")
        assert table.loc[2, "change"] == 0
        assert (table.loc[2, "p_equivalent"] <= 0.05) == (p == 0.05)
        assert math.isnan(table.loc[0, "p_equivalent"])


def test_curves_of_other_items_are_not_compared(llama):
    one = planted_curve(llama, lambda kind, at: True, items=sums(4))
    items = tuple(type(item)(f"x{item.id}", item.question, item.answers) for item in sums(4))
    other = planted_curve(llama, lambda kind, at: True, items=items)
    with pytest.raises(ValueError, match="found 0 common items"):
        difference_in_differences(one, other)
    with pytest.raises(ValueError, match="Did you mean 'accuracy'"):
        difference_in_differences(one, one, metric="acuracy")


def test_the_ranking_is_that_of_the_plan(llama):
    curve = planted_curve(llama, lambda kind, at: True, items=sums(4))
    assert curve.plan.to_dataframe().query("kind == 'top'")["heads"].tolist() == [" ".join(RANKING)]
