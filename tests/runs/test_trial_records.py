import math

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_runs import RandomRun

from rh_lens.runs.log import LogWriter, read_log
from rh_lens.runs.trial_records import (
    entry_record,
    read_events,
    read_trial,
    stored_prompt,
    trial_record,
    trial_tensors,
)


def through_a_log(folder, pairs):
    """Entries of trials and events, written and read back."""
    writer = LogWriter(folder, "run")
    for trial, events in pairs:
        record = entry_record(trial, events, save_prompt=False)
        writer.append(trial.index, record, trial_tensors(trial, events))
    writer.close()
    return list(read_log(folder).entries.values())


def assert_same_trial(found, expected):
    for name in ("index", "text", "stop_reason", "accepted", "reason", "recall", "recall_measure"):
        assert getattr(found, name) == getattr(expected, name)
    assert found.n_ties == expected.n_ties
    names = ("tokens", "visible", "attention_mass")
    pairs = [(getattr(found, name), getattr(expected, name)) for name in names]
    assert (
        sorted(found.recorded_scores)
        == sorted(expected.recorded_scores)
        == ["fed-attention", "teacher-forced"]
    )
    pairs += [(found.recorded_scores[name], one) for name, one in expected.recorded_scores.items()]
    for one, other in pairs:
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_an_entry_holds_a_trial_and_its_events_exactly(tmp_path_factory, seed):
    run = RandomRun(n_trials=2, seed=seed)
    entries = through_a_log(tmp_path_factory.mktemp("log"), run.pairs.values())
    tables = read_events(entries)
    for (trial, events), entry, found in zip(run.pairs.values(), entries, tables, strict=True):
        assert_same_trial(read_trial(entry, trial.prompt), trial)
        found = found.reset_index(drop=True)
        pd.testing.assert_frame_equal(found, events, check_exact=True)


@given(st.lists(st.floats(width=64), min_size=12, max_size=12))
@settings(max_examples=15, deadline=None)
def test_every_fp64_number_comes_back(tmp_path_factory, numbers):
    trial, events = RandomRun(n_trials=1, seed=0).pairs[0]
    expected = torch.tensor(numbers, dtype=torch.float64).reshape(3, 4)
    object.__setattr__(trial, "attention_mass", expected)
    (entry,) = through_a_log(tmp_path_factory.mktemp("log"), [(trial, events)])
    found = read_trial(entry, trial.prompt).attention_mass
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    for one, other in zip(found.flatten().tolist(), numbers, strict=True):
        assert math.copysign(1, one) == math.copysign(1, other) or math.isnan(one)


def test_a_trial_of_a_large_model_is_small(tmp_path):
    """1,024 heads without events: 8 kB of attention mass, 1 kB of flags, 2 kB of words."""
    trial, events = RandomRun(n_trials=1, seed=0).pairs[0]
    wide = torch.rand(32, 32, dtype=torch.float64)
    object.__setattr__(trial, "visible", wide > 0.5)
    object.__setattr__(trial, "attention_mass", wide)
    object.__setattr__(trial, "recorded_scores", {})
    (entry,) = through_a_log(tmp_path, [(trial, events[:0])])
    assert len(entry.content) < 13_000


def test_a_prompt_that_was_not_saved_keeps_its_answer_and_its_places(otter_prompt):
    trial, _ = RandomRun(n_trials=1, seed=0).pairs[0]
    object.__setattr__(trial, "prompt", otter_prompt)
    record = trial_record(trial)
    found = stored_prompt(record)
    assert found.answer_tokens.tolist() == otter_prompt.answer_tokens.tolist()
    assert set(found.tokens[: found.answer_span[0]].tolist()) == {-1}
    assert len(found.tokens) == found.context_length == 150
    assert found.needle == otter_prompt.needle
    assert (found.depth, found.needle_span) == (otter_prompt.depth, otter_prompt.needle_span)
    saved = stored_prompt({**record, "prompt_tokens": otter_prompt.tokens.tolist()})
    assert saved.sha256 == otter_prompt.sha256


@pytest.mark.parametrize(
    "name", ["tokens", "text", "answer_tokens", "n_ties", "prompt_sha256", "needle.answer"]
)
def test_a_record_holds_what_a_reader_needs(name):
    trial, _ = RandomRun(n_trials=1, seed=0).pairs[0]
    assert name in trial_record(trial)
