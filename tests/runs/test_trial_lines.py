import json
import math

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_runs import RandomRun

from rh_lens.runs.trial_lines import (
    heads_record,
    read_events,
    read_trial,
    stored_prompt,
    trial_record,
)


def through_json(record):
    return json.loads(json.dumps(record))


def assert_same_trial(found, expected):
    for name in ("index", "text", "stop_reason", "accepted", "reason", "recall", "recall_measure"):
        assert getattr(found, name) == getattr(expected, name)
    assert found.n_ties == expected.n_ties
    names = ("tokens", "visible", "attention_mass")
    pairs = [(getattr(found, name), getattr(expected, name)) for name in names]
    assert (
        list(found.recorded_scores)
        == list(expected.recorded_scores)
        == ["teacher-forced", "fed-attention"]
    )
    pairs += zip(found.recorded_scores.values(), expected.recorded_scores.values(), strict=True)
    for one, other in pairs:
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_two_lines_of_json_hold_a_trial_and_its_events_exactly(seed):
    run = RandomRun(n_trials=2, seed=seed)
    lines = [through_json(heads_record(*pair)) for pair in run.pairs.values()]
    for (trial, events), heads, found in zip(
        run.pairs.values(), lines, read_events(lines), strict=True
    ):
        record = through_json(trial_record(trial))
        assert_same_trial(read_trial(record, heads, trial.prompt), trial)
        found = found.reset_index(drop=True)
        pd.testing.assert_frame_equal(found, events, check_exact=True)


@given(st.lists(st.floats(width=64), min_size=12, max_size=12))
@settings(max_examples=40, deadline=None)
def test_every_fp64_number_comes_back(numbers):
    trial, events = RandomRun(n_trials=1, seed=0).pairs[0]
    expected = torch.tensor(numbers, dtype=torch.float64).reshape(3, 4)
    object.__setattr__(trial, "attention_mass", expected)
    heads = through_json(heads_record(trial, events))
    found = read_trial(trial_record(trial), heads, trial.prompt).attention_mass
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    for one, other in zip(found.flatten().tolist(), numbers, strict=True):
        assert math.copysign(1, one) == math.copysign(1, other) or math.isnan(one)


def test_a_line_of_a_large_model_is_small():
    """1,024 heads without events: 11 kB of attention mass and 128 bytes of bits, in base64."""
    trial, events = RandomRun(n_trials=1, seed=0).pairs[0]
    wide = torch.rand(32, 32, dtype=torch.float64)
    object.__setattr__(trial, "visible", wide > 0.5)
    object.__setattr__(trial, "attention_mass", wide)
    object.__setattr__(trial, "recorded_scores", {})
    line = json.dumps(heads_record(trial, events[:0]))
    assert len(line) < 12_000


def test_older_lines_hold_shares_whatever_the_model_chose():
    """Their `teacher_forced` is what is called fed attention now."""
    trial, events = RandomRun(n_trials=1, seed=0).pairs[0]
    heads = through_json(heads_record(trial, events))
    for older in (heads.pop("scores")["fed-attention"], None):
        found = read_trial(trial_record(trial), heads | {"teacher_forced": older}, trial.prompt)
        assert list(found.recorded_scores) == ([] if older is None else ["fed-attention"])


def test_older_lines_name_the_recorded_scores_otherwise():
    trial, events = RandomRun(n_trials=1, seed=0).pairs[0]
    heads = through_json(heads_record(trial, events))
    heads["forced"] = heads.pop("scores")
    found = read_trial(trial_record(trial), heads, trial.prompt).recorded_scores
    assert list(found) == ["teacher-forced", "fed-attention"]
    for name, expected in trial.recorded_scores.items():
        assert found[name].nan_to_num(-1).equal(expected.nan_to_num(-1))


def test_a_prompt_that_was_not_saved_keeps_its_answer_and_its_places(otter_prompt):
    trial, _ = RandomRun(n_trials=1, seed=0).pairs[0]
    object.__setattr__(trial, "prompt", otter_prompt)
    record = through_json(trial_record(trial))
    found = stored_prompt(record)
    assert found.answer_tokens.tolist() == otter_prompt.answer_tokens.tolist()
    assert set(found.tokens[: found.answer_span[0]].tolist()) == {-1}
    assert len(found.tokens) == found.context_length == 150
    assert found.needle == otter_prompt.needle
    assert (found.depth, found.needle_span) == (otter_prompt.depth, otter_prompt.needle_span)
    saved = stored_prompt({**record, "prompt_tokens": otter_prompt.tokens.tolist()})
    assert saved.sha256 == otter_prompt.sha256


@pytest.mark.parametrize("name", ["generated_tokens", "answer_tokens", "n_ties", "prompt_sha256"])
def test_a_record_holds_what_a_reader_needs(name):
    trial, _ = RandomRun(n_trials=1, seed=0).pairs[0]
    assert name in trial_record(trial)
