"""An evaluation of tasks that is killed goes on, and gives what an undisturbed one gives."""

import pandas as pd
import pytest

from rh_lens.demo import example_task
from rh_lens.evaluation.tasks import task_curve, task_prompts, task_tables
from rh_lens.runs import TaskFolder, describe_model, load_evaluation

RANKING = ["L2H4", "L2H5"]
HOW = {"n_controls": 0, "n_rankings": 0, "ks": [2], "scope": "decode", "progress": False}


class KilledError(Exception):
    pass


@pytest.mark.slow
def test_a_killed_evaluation_goes_on(tmp_path):
    from rh_lens.demo import load_demo_model

    model = load_demo_model()
    task = example_task("qa", 4)
    prompts = task_prompts(model.tokenizer, task)
    described = describe_model(model, "demo")
    whole = task_curve(model, task, RANKING, heads=RANKING, **HOW)

    def folder():
        return TaskFolder(tmp_path / "run", described, prompts, {"scope": "decode"})

    n_answered = 0

    def add_and_die(store, answers):
        nonlocal n_answered
        store.add_from(0, answers)
        n_answered += len(answers)
        if n_answered >= 3:
            raise KilledError

    with pytest.raises(KilledError), folder() as store:
        task_curve(
            model, task, RANKING, heads=RANKING, on_answers=lambda a: add_and_die(store, a), **HOW
        )
    asked = []
    with folder() as store:
        done = store.answers_from(0, len(prompts))
        assert len(done) == n_answered
        curve = task_curve(
            model, task, RANKING, heads=RANKING, done=done, on_answers=asked.append, **HOW
        )
        store.finish(task_tables(curve))
    assert sum(map(len, asked)) == 2 * 4 - n_answered
    pd.testing.assert_frame_equal(curve.answers, whole.answers)
    stored = load_evaluation(tmp_path / "run").tables
    again = task_tables(whole).by_name()
    for name, table in stored.by_name().items():
        pd.testing.assert_frame_equal(table, again[name], check_dtype=False)
