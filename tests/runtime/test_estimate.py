"""What a run takes is told before it begins, and refused where it can't fit."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from running import NEVER, grid
from test_questions import N_CONTEXT, turns

from rh_lens.runtime import (
    PLAIN_EXECUTION,
    answer_prompts,
    context,
    estimate_run,
    require_memory,
)
from rh_lens.runtime.pass_memory import cache_bytes, most_eager_rows, pattern_bytes


def test_tokens_to_read_are_those_that_are_read(llama):
    """Two contexts of 50 tokens with questions of 3, 1 and 8: 124 of 324 tokens; 6 prompts."""
    prompts = turns()
    found = estimate_run(llama, prompts, max_new_tokens=4)
    n_tokens = 2 * (3 * N_CONTEXT + 12)
    assert (found.n_prompts, found.n_contexts, found.n_tokens) == (6, 2, n_tokens)
    assert found.n_read == n_tokens - 4 * N_CONTEXT
    assert found.seconds is None
    plain = estimate_run(llama, prompts, max_new_tokens=4, execution=PLAIN_EXECUTION)
    assert (plain.n_contexts, plain.n_read) == (6, n_tokens)


def test_the_cache_is_as_large_as_estimated(llama):
    """3 layers of 2 key-value heads of 8 numbers: 2 * 3 * 2 * 8 * 4 bytes a token."""
    prompts = grid()
    found = estimate_run(llama, prompts, max_new_tokens=4)
    assert found.cache_bytes == (71 + 4) * 384
    (together,) = answer_prompts(llama, prompts[:1], max_new_tokens=4, stop=NEVER)
    held = together["plain"].context.cache.layers
    n_bytes = sum(
        2 * layer._buffers[0].numel() * layer._buffers[0].element_size() for layer in held
    )
    assert n_bytes == found.cache_bytes


def test_time_is_that_of_the_first_context(llama):
    found = estimate_run(llama, turns(), max_new_tokens=4, stop=NEVER)
    assert found.seconds is not None
    assert 0 < found.seconds < 60
    assert "time, by that of the first context" in found.text
    assert "6 prompts of 324 tokens about 2 contexts: 124 tokens to read" in found.text


def test_a_run_that_cannot_fit_is_refused(llama):
    found = estimate_run(llama, grid(), max_new_tokens=4)
    require_memory(found)
    little = replace(found, free_bytes=found.bytes - 1)
    assert not little.fits
    with pytest.raises(ValueError, match=r"Expected a run that needs .* found"):
        require_memory(little)
    assert replace(found, free_bytes=None).fits


def test_a_turn_keeps_its_questions_and_answers_in_the_cache(llama):
    """50 + 12 tokens of questions, and 3 answers of 4 tokens with at most 5 refused guesses."""
    found = estimate_run(llama, turns(), max_new_tokens=4)
    assert found.cache_bytes == 384 * (N_CONTEXT + 12 + 3 * (4 + 5))
    together = next(iter(answer_prompts(llama, turns(), max_new_tokens=4, stop=NEVER)))
    held = together["plain"].context.cache.layers
    assert 384 * held[0]._buffers[0].shape[-2] == found.cache_bytes


def test_a_pass_has_fewer_rows_where_its_pattern_would_be_large(llama):
    """4 heads in fp32 take 16 bytes a key and row: 8 MiB are 52 rows of 10,000 keys."""
    assert pattern_bytes(llama, 3, 10) == 16 * 30
    assert most_eager_rows(llama, 1000) == 128
    assert most_eager_rows(llama, 10_000) == 52
    # From here on the cache counts: a sixteenth of 384 bytes a key, over 16 bytes a key and row.
    assert cache_bytes(llama, 10**6) == 384 * 10**6
    assert most_eager_rows(llama, 10**6) == 1


def test_before_each_pass_freed_memory_may_go_by_the_size_of_its_pattern(llama, monkeypatch):
    """A prompt of 71 tokens: 70 are read together, then the last and three of the answer."""
    asked = []
    monkeypatch.setattr(context, "hand_back_freed", lambda device, n_bytes: asked.append(n_bytes))
    prompts = grid()[:1]
    list(answer_prompts(llama, prompts, max_new_tokens=4, stop=NEVER, execution=PLAIN_EXECUTION))
    assert asked[-5:] == [16 * 70 * 70, *(16 * n_keys for n_keys in (71, 72, 73, 74))]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bundled", "refused"])
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read on Linux")
def test_no_peak_is_above_its_estimate_nor_far_below(name):
    """One needle and packed, 1,024 tokens, each measured above the loaded model."""
    script = Path(__file__).with_name("peaks.py")
    run = subprocess.run(
        [sys.executable, script, name, "1024"], capture_output=True, text=True, check=True
    )
    for _, kind, _, measured, estimated in json.loads(run.stdout):
        assert measured <= estimated, kind
        assert estimated <= 3 * measured + 40e6, kind
