"""What a pass allocates, measured."""

from functools import cache

import pytest
import torch
from planted import make_prompt
from running import run
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rh_lens.runtime import strategy

N_HEADS, N_VOCAB = 4, 320


class Largest(TorchDispatchMode):
    """Numbers in the largest tensor that any operation returns."""

    n_numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        sizes = [
            leaf.untyped_storage().nbytes() // leaf.element_size()
            for leaf in tree_leaves(result)
            if isinstance(leaf, torch.Tensor)
        ]
        self.n_numbers = max(self.n_numbers, *sizes, 0)
        return result


@cache
def largest(bridge, n_tokens, prefill):
    tokens = torch.randint(2, 300, (n_tokens,), generator=torch.Generator().manual_seed(7))
    prompts = [make_prompt(tokens[start:].tolist(), (40, 44)) for start in (0, 20)]
    with Largest() as seen:
        run(bridge, prompts, prefill=prefill, max_new_tokens=3)
    return seen.n_numbers


@pytest.fixture(autouse=True)
def short_passes(monkeypatch):
    monkeypatch.setattr(strategy, "EAGER_CHUNK", 16)
    monkeypatch.setattr(strategy, "SDPA_CHUNK_CPU", 32)


NAMES = [
    "llama",
    pytest.param("mistral-window", marks=pytest.mark.slow),
    pytest.param("gemma3", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("name", NAMES)
def test_chunked_reading_takes_heads_times_chunk_times_context(tiny_model, name):
    """At 1,000 tokens 4 x 16 x 1,000 numbers; a square pattern has 62 times as many."""
    assert largest(tiny_model(name).bridge, 1000, "chunked") <= N_HEADS * 16 * 1000


@pytest.mark.parametrize("name", NAMES)
def test_sdpa_reading_takes_no_more_than_a_mask_or_the_keys(tiny_model, name):
    """Neither square patterns nor the whole prompt's logits (320,000 numbers)."""
    n_numbers = largest(tiny_model(name).bridge, 1000, "sdpa")
    assert n_numbers <= N_HEADS * 32 * 1000
    assert n_numbers < N_VOCAB * 1000 / 2


@pytest.mark.parametrize("prefill", ["chunked", "sdpa"])
def test_what_is_allocated_grows_with_the_context_not_its_square(llama, prefill):
    assert largest(llama, 1000, prefill) <= 2.1 * largest(llama, 500, prefill)


def test_the_plain_bridge_does_have_square_patterns(llama):
    """So the measurement would see one."""
    assert largest(llama, 500, "whole") >= N_HEADS * 480 * 480
