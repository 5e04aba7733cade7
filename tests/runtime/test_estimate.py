"""What a run takes is told before it begins, and refused where it can't fit."""

from dataclasses import replace

import pytest
from running import NEVER, grid
from test_questions import N_CONTEXT, turns

from rh_lens.runtime import PLAIN_EXECUTION, answer_prompts, estimate_run, require_memory


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
