"""Advice for rejected answers names the causes that apply, and no others."""

from dataclasses import replace

import pytest
import torch
from detection_cases import random_case

from rh_lens.detection import judge_trial
from rh_lens.detection.result import advice
from rh_lens.runtime import Generation

CASE = random_case(0)


def trial(stop_reason, text="some boat", n_tokens=3):
    generation = Generation(CASE.generated, text, stop_reason)
    judged = judge_trial(0, CASE.prompt, generation, CASE.sources, None)
    return replace(judged, tokens=torch.arange(n_tokens))


@pytest.mark.parametrize(
    ("trials", "said", "unsaid"),
    [
        ([trial("newline")], "1 stopped at a line break", "max_new_tokens"),
        ([trial("length", n_tokens=32)], r"1 used up max_new_tokens (32)", "line break"),
        ([trial("string")], "1 stopped at a stop string", "line break"),
        ([trial("eos")], "1 ended with another answer", "max_new_tokens"),
        ([trial("eos", text=" ")], "1 blank", "another answer"),
    ],
)
def test_only_the_cause_that_applies_is_named(trials, said, unsaid):
    assert said in advice(trials)
    assert unsaid not in advice(trials)


def test_several_causes_are_counted_the_most_frequent_first():
    found = advice([trial("eos"), trial("newline"), trial("newline")])
    assert found.index("2 stopped at a line break") < found.index("1 ended with another answer")


def test_without_trials_there_is_none():
    assert advice([]) == ""
