"""The planted model does what its weights were written for."""

import pytest
import torch
from planted_circuit import (
    DUPLICATE,
    IDLE,
    INDUCTION,
    PREVIOUS,
    SUPPRESSOR,
    planted_bridge,
    repeated_tokens,
)

N = 40


@pytest.fixture(scope="module")
def planted(tiny_tokenizer):
    model = planted_bridge(tiny_tokenizer)
    tokens = repeated_tokens(N)
    with torch.no_grad():
        logits, cache = model.run_with_cache(tokens)
    return tokens[0], logits[0], cache


def pattern_of(cache, head):
    return cache[f"blocks.{head.layer}.attn.hook_pattern"][0, head.head]


def test_every_planted_head_looks_where_it_was_written_to(planted):
    _, _, cache = planted
    rows = torch.arange(N + 1, 2 * N + 1)
    expected = {PREVIOUS: rows - 1, INDUCTION: rows - N + 1, SUPPRESSOR: rows - N + 1}
    for head, keys in expected.items():
        assert (pattern_of(cache, head)[rows, keys] > 0.95).all(), head
    both = pattern_of(cache, DUPLICATE)[rows]
    assert (both[torch.arange(N), rows] + both[torch.arange(N), rows - N] > 0.95).all()
    for head in IDLE:
        uniform = 1 / (rows + 1.0)
        torch.testing.assert_close(pattern_of(cache, head)[rows].max(-1).values, uniform)


def test_repeated_text_is_continued(planted):
    tokens, logits, _ = planted
    assert (logits[N + 1 : -1].argmax(-1) == tokens[N + 2 :]).all()
