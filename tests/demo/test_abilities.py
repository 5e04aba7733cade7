"""What a bundled model can do: the tasks that its card reports."""

import pytest

from rh_lens.demo import load_demo_model
from rh_lens.demo.abilities import ABILITIES, CONTRADICTED, ability_task, evaluate_tasks, more_of
from rh_lens.demo.training.exercises import UNSTATED


@pytest.mark.parametrize("name", ABILITIES)
def test_the_right_answer_is_right(name):
    """What the first model's training calls right, each task judges right, and blanks wrong."""
    task = ability_task(name, 20)
    assert len(task.items) == 20
    for item in task.items:
        assert task.judge(task.template.said(item), item)[task.metric] == 1.0
        assert task.judge(" ", item)[task.metric] == 0.0


@pytest.mark.parametrize("name", ABILITIES)
def test_a_text_holds_its_answer_where_it_states_it(name):
    for item in ability_task(name, 20).items:
        stated = item.context and item.answers[0] != UNSTATED and not item.choices
        if stated and name != "two facts at once":
            assert item.answers[0] in item.context


def test_refusals_and_memory_are_counted():
    task = ability_task(CONTRADICTED, 4)
    known = [item.chain for item in task.items]
    assert more_of(CONTRADICTED, task, [*known[:3], "something"]) == {"memory wins": 0.75}
    facts = ability_task("facts", 4)
    assert more_of("facts", facts, ["not stated.", "a", "b", "c"]) == {"false refusals": 0.25}
    assert more_of("reading", facts, ["a"]) == {}


@pytest.mark.slow
def test_the_first_model_reads_and_knows_nothing():
    found = evaluate_tasks(load_demo_model(), 12)
    assert list(found) == list(ABILITIES)
    assert found["facts"]["score"] > 0.7
    assert found["known by heart"]["score"] < 0.2
    assert found["known by heart"] == found["known by heart"] | {"n": 12, "goal": 0.95}
    assert found["sums, written"]["measure"] == "right number"
