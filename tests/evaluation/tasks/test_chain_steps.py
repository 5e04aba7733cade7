"""Which steps of a chain copy, and which fail first: answers and looks made by hand."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from rh_lens.detection import AttentionSources, find_copy_events
from rh_lens.evaluation import HeadLooks, KeptAnswer, plan_ablation
from rh_lens.evaluation.tasks import (
    READING_CHAIN,
    Task,
    TaskCurve,
    TaskItem,
    TaskTables,
    chain_breaks,
    chain_steps,
    final_answer,
    task_prompts,
    task_tables,
    token_f1,
)
from rh_lens.evaluation.tasks.chain_steps import split_steps
from rh_lens.evaluation.tasks.result import result_of
from rh_lens.heads import Head
from rh_lens.runtime import Generation
from rh_lens.views import plot_tasks, summarise

TEXT = "The otter was violet. The heron was grey."
HEADS = (Head(1, 1), Head(1, 2))
CHAIN = " The otter was violet. So it is. The answer is violet."


@pytest.fixture(scope="module")
def task() -> Task:
    items = (
        TaskItem("a", "What was the otter?", ("violet",), TEXT),
        TaskItem("b", "And the otter?", ("violet",), TEXT),
    )
    return Task("own-chain", items, READING_CHAIN, final_answer, {"f1": token_f1}, 64, ("\n",))


def answer(model: Any, prompt: Any, text: str, copying: str) -> KeptAnswer:
    """An answer in which head 0 looks at the copied words' tokens, and head 1 at the first."""
    tokens = model.tokenizer.encode(text, add_special_tokens=False)
    read, source = prompt.tokens.tolist(), np.zeros((len(tokens), 2), dtype=np.int64)
    n = len(model.tokenizer.encode(copying, add_special_tokens=False)) if copying else 0
    for at in range(n):
        source[at, 0] = read.index(tokens[at], prompt.context_span[0])
    rest = np.zeros((len(tokens), 2), dtype=np.float32)
    looks = HeadLooks(source, rest, rest, rest, rest)
    return KeptAnswer(Generation(torch.tensor(tokens), text, "eos", (*tokens, 1), 1), looks)


@pytest.fixture(scope="module")
def curve(llama: Any, task: Task) -> TaskCurve:
    """Item a breaks at its first step under the top, item b at its second under the control."""
    prompts = task_prompts(llama.tokenizer, task)
    plan = plan_ablation(llama, HEADS, ks=[0, 2], n_controls=1, n_rankings=0)
    (control,) = plan.of(2, "control")
    said = {
        ("none", 0): CHAIN, ("none", 1): CHAIN,
        ("top-2", 0): " The hat.", ("top-2", 1): CHAIN,
        (control, 0): CHAIN, (control, 1): " The otter was violet. No.",
    }  # fmt: skip
    kept = {
        key: answer(llama, prompts[key[1]], text, "" if key[0] == "top-2" else " The otter was")
        for key, text in said.items()
    }
    return TaskCurve(result_of(task, prompts, kept, HEADS), plan)


def test_steps_are_sentences_and_lines(llama: Any) -> None:
    text = "One is 3.5 here. Two!\nThree\n\n  Four?  Five"
    tokens = llama.tokenizer.encode(text, add_special_tokens=False)
    steps = split_steps(llama.tokenizer, tokens)
    assert [step.text for step in steps] == ["One is 3.5 here.", "Two!", "Three", "Four?", "Five"]
    assert steps[0].start == 0
    assert steps[-1].stop == len(tokens)
    assert [step.stop for step in steps[:-1]] == [step.start for step in steps[1:]]
    assert split_steps(llama.tokenizer, []) == []


def test_which_steps_copy(curve: TaskCurve) -> None:
    table = chain_steps(curve.result)
    own = table[(table["condition"] == "none") & (table["item"] == "a")]
    assert own["text"].tolist() == ["The otter was violet.", "So it is.", "The answer is violet."]
    assert own["copies"].tolist() == [True, False, False]
    first = own.iloc[0]
    assert first["best_head"] == "L1H1"
    assert 0.5 <= first["copied"] < 1
    assert own.iloc[1]["copied"] == 0
    assert own["best_head"].isna().tolist() == [False, True, True]


def test_which_steps_fail_first(curve: TaskCurve) -> None:
    table = chain_breaks(curve).set_index("kind")
    top, control = table.loc["top"], table.loc["control"]
    assert (top["k"], top["n_answers"], top["broken"], top["first_step"]) == (2, 2, 0.5, 0)
    assert top["copies"] == 1
    # Of item b all three steps were said, one of which copies.
    assert top["copies_before"] == pytest.approx(1 / 3)
    assert (control["broken"], control["first_step"], control["copies"]) == (0.5, 1, 0)
    assert control["copies_before"] == pytest.approx(2 / 4)


def test_without_recorded_heads_there_are_no_steps(curve: TaskCurve) -> None:
    bare = replace(curve.result, heads=())
    with pytest.raises(ValueError, match="Expected recorded heads"):
        chain_steps(bare)
    with pytest.raises(ValueError, match="Expected recorded heads"):
        chain_breaks(replace(curve, result=bare))


def test_events_are_found_in_any_span(llama: Any, task: Task) -> None:
    prompt = task_prompts(llama.tokenizer, task)[0]
    said = prompt.tokens[[3, 4, 3]]
    start, stop = prompt.context_span or (0, 0)
    source = torch.tensor([3, 4, 5]).reshape(3, 1, 1)
    values = torch.full((3, 1, 1), 0.5)
    sources = AttentionSources((0,), 1, torch.arange(3), source, values, values, values, values,
                               torch.zeros(3, 1, dtype=torch.long))  # fmt: skip

    def steps(**options: Any) -> list[int]:
        return find_copy_events(0, prompt, said, sources, llama.tokenizer, **options)[
            "step"
        ].tolist()

    assert start <= 3 < 4 < stop
    assert steps() == [0, 1]
    assert steps(spans=[(4, 5)]) == [1]
    assert steps(spans=[(0, 4), (5, 9)]) == [0]
    assert steps(spans=[]) == []


def test_the_tables_as_text_and_as_a_picture(curve: TaskCurve) -> None:
    tables = task_tables(curve)
    text = summarise(curve)
    assert "own-chain: f1 with the top K heads silenced (2 items, 2 documents)" in text
    assert "Where answers break" in text
    assert max(map(len, text.splitlines())) <= 80
    both = task_tables(curve, curve)
    assert "First way of asking against the second" in summarise(both)
    assert math.isclose(both.ways["difference"].iloc[0], 0) if both.ways is not None else False
    assert list(tables.by_name()) == ["curve", "controls", "answers", "heads", "steps", "breaks"]
    figure = plot_tasks(tables)
    (axes,) = figure.axes
    assert axes.get_lines()[0].get_ydata().tolist() == tables.curve["top"].tolist()
    with pytest.raises(ValueError, match="curve"):
        plot_tasks(TaskTables(tables.curve.drop(columns="top")))
