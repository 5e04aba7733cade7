"""Detection that goes on from stored trials, or answers a part: the same to the last bit."""

import random

import pandas as pd
import pytest
import torch
from planted import make_prompt
from tiny_models import TEXT

from rh_lens.detection import (
    MemoryLog,
    NoAcceptedTrialsError,
    detect_retrieval_heads,
    room_for_answers,
)
from rh_lens.prompts import Needle, build_grid, text_haystack
from rh_lens.runtime import Execution, plan


@pytest.fixture(scope="module")
def grid(tiny_tokenizer, otter_needle):
    """Twelve prompts: two needles, two lengths, three depths."""
    boat = Needle(
        question="Where does the grey boat lie?",
        text="The grey boat lies in the reeds.",
        answer="in the reeds",
    )
    return build_grid(
        tiny_tokenizer,
        text_haystack([TEXT] * 8),
        [otter_needle, boat],
        context_lengths=[150, 290],
        depths=3,
    )


@pytest.fixture(autouse=True)
def units_of_five(monkeypatch):
    monkeypatch.setattr(plan, "UNIT", 5)


class NotedLog(MemoryLog):
    """Notes which prompts were begun."""

    def start(self, index):
        self.__dict__.setdefault("started", []).append(index)


def detect(model, prompts, log=None, **execution):
    """Teacher-forced, so that it needs no right answer, and with all that is recorded."""
    log = log or NotedLog(range(len(prompts)))
    before = set(log.done)
    options = {"score": "teacher-forced", "max_new_tokens": 6, "progress": False}
    result = detect_retrieval_heads(
        model, prompts, log=log, execution=Execution(**execution), **options
    )
    return result, {index: log.done[index] for index in log.done if index not in before}


@pytest.fixture(scope="module")
def whole(llama, grid):
    """The result of all prompts, and its trials with their events."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "UNIT", 5)
        return detect(llama, grid)


def assert_same_bits(found, expected):
    """Of one trial with its events."""
    pd.testing.assert_frame_equal(found[1], expected[1], check_exact=True)
    names = ("tokens", "visible", "attention_mass")
    pairs = [(getattr(found[0], name), getattr(expected[0], name)) for name in names]
    assert (
        list(found[0].recorded_scores)
        == list(expected[0].recorded_scores)
        == ["teacher-forced", "fed-attention"]
    )
    pairs += zip(
        found[0].recorded_scores.values(), expected[0].recorded_scores.values(), strict=True
    )
    for one, other in pairs:
        assert torch.equal(one.nan_to_num(nan=-1.0), other.nan_to_num(nan=-1.0))
    assert (found[0].text, found[0].n_ties) == (expected[0].text, expected[0].n_ties)


@pytest.mark.parametrize(
    "execution",
    [
        {},
        pytest.param({"speculate": False}, marks=pytest.mark.slow),
        pytest.param({"share_prefixes": False}, marks=pytest.mark.slow),
        pytest.param(
            {"prefill": "whole", "share_prefixes": False, "speculate": False},
            marks=pytest.mark.slow,
        ),
        pytest.param({"batch_size": 4}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_part_has_the_numbers_of_the_whole(llama, grid, execution):
    whole, expected = detect(llama, grid, **execution)
    assert len({float(trial.attention_mass.sum()) for trial in whole.trials}) == len(grid)
    rng = random.Random(1)
    for n_wanted in (1, 6):
        only = rng.sample(range(len(grid)), n_wanted)
        result, found = detect(llama, grid, NotedLog(only), **execution)
        assert sorted(found) == sorted(only) == [trial.index for trial in result.trials]
        for index in only:
            assert_same_bits(found[index], expected[index])


def test_a_run_without_common_state_answers_nothing_twice(llama, grid):
    log = NotedLog([9, 3])
    detect(llama, grid, log, prefill="whole", share_prefixes=False, speculate=False)
    assert log.started == [3, 9]


def test_trials_that_are_done_are_not_answered_again(llama, grid, whole):
    whole, expected = whole
    done = {index: expected[index] for index in random.Random(2).sample(range(12), 5)}
    log = NotedLog(range(12), dict(done))
    result, found = detect(llama, grid, log)
    assert set(log.started) == set(found) == set(range(12)) - set(done)
    assert torch.equal(result.scores.values, whole.scores.values)
    pd.testing.assert_frame_equal(result.events.table, whole.events.table, check_exact=True)
    assert result.trials[min(done)] is done[min(done)][0]
    assert len(done) == 5


def test_with_all_trials_done_the_model_is_not_asked(llama, grid, whole):
    whole, expected = whole

    def fail(pattern, hook):
        raise AssertionError("the model ran")

    with llama.hooks(fwd_hooks=[("blocks.0.attn.hook_pattern", fail)]):
        result, found = detect(llama, grid, NotedLog(range(12), expected))
    assert found == {}
    assert torch.equal(result.scores.values, whole.scores.values)


def test_some_wanted_and_some_done_together(llama, grid, whole):
    _, expected = whole
    log = NotedLog([2, 4, 6], {4: expected[4], 11: expected[11]})
    result, found = detect(llama, grid, log)
    assert sorted(found) == [2, 6]
    assert [trial.index for trial in result.trials] == [2, 4, 6, 11]


def test_a_part_without_accepted_trials_has_no_scores(llama, grid):
    with pytest.raises(NoAcceptedTrialsError, match="found 1 rejected"):
        detect_retrieval_heads(llama, grid, log=MemoryLog([3]), progress=False)


def test_prompts_that_there_are_not_are_refused(llama, grid, whole):
    with pytest.raises(ValueError, match=r"by their index, 0 to 11; found \[12\]"):
        detect(llama, grid, NotedLog([3, 12]))
    expected = {3: whole[1][3]}
    with pytest.raises(
        ValueError, match=r"Expected trial 4 of the log to be of prompt 4.* trial 3"
    ):
        detect(llama, grid, NotedLog([], {4: expected[3]}))
    with pytest.raises(ValueError, match=r"Expected trial 3 .* Pass the prompts that the trials"):
        detect(llama, grid[::-1], NotedLog([], expected))
    with pytest.raises(ValueError, match="no such prompt"):
        detect(llama, grid[:2], NotedLog([], expected))


def test_answers_have_room_for_one_and_a_half_needles(grid, otter_prompt):
    long = make_prompt(otter_prompt.tokens.tolist(), (20, 60), otter_prompt.needle)
    assert room_for_answers(()) == room_for_answers(grid) == 32
    assert room_for_answers([*grid, long]) == 60
