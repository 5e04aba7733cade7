"""However prompts are read and answers decoded: the same tokens and sources."""

import pytest
from running import (
    STEPS,
    assert_equals_hugging_face,
    assert_equals_stepwise_hugging_face,
    assert_same,
    grid,
    run,
)
from tiny_models import ARCHITECTURES, HYBRIDS, LENGTH_DEPENDENT, OTHERS

from rh_lens.runtime import architecture_of, strategy

ALL = [*ARCHITECTURES, *HYBRIDS, *OTHERS]
# Each way to attend once: by groups, in windows, with sinks, learned positions, ALiBi, MLA, states.
PLAINLY = ["llama", "gemma3", "gpt-oss", "gpt2", "bloom", "deepseek-v3", "lfm2"]


@pytest.fixture(autouse=True)
def short_passes(monkeypatch):
    """So short that every prompt takes several, and that "auto" decides as for long ones."""
    monkeypatch.setattr(strategy, "EAGER_CHUNK", 16)
    monkeypatch.setattr(strategy, "SDPA_CHUNK_CPU", 25)
    monkeypatch.setattr(strategy, "SHORT", 8)


@pytest.mark.parametrize("name", ALL)
def test_the_default_equals_plain_hugging_face(tiny_model, name):
    """The last prompt of the grid is the first one again, so its answer is guessed right."""
    model, prompts = tiny_model(name), grid()
    found = run(model.bridge, prompts)
    assert_equals_hugging_face(model, prompts, found)
    n_passes = {index: generation.n_passes for index, (generation, _) in found.items()}
    if name in HYBRIDS:
        assert set(n_passes.values()) == {STEPS}
    else:
        assert n_passes[6] == 1
        assert max(n_passes.values()) > 1  # others were guessed wrong


@pytest.mark.parametrize(
    "name",
    [
        *PLAINLY,
        *(pytest.param(name, marks=pytest.mark.slow) for name in ALL if name not in PLAINLY),
    ],
)
def test_one_at_a_time_equals_plain_hugging_face(tiny_model, name):
    model, prompts = tiny_model(name), grid()[1:3]
    found = run(model.bridge, prompts, prefill="whole", share_prefixes=False, speculate=False)
    assert_equals_hugging_face(model, prompts, found)
    assert all(generation.n_passes == STEPS for generation, _ in found.values())


@pytest.mark.parametrize(
    "name",
    [
        "llama",
        "gemma3",
        "gpt2",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("mistral-window", "opt", "phi3")),
    ],
)
@pytest.mark.parametrize("prefill", ["sdpa", "chunked", "whole"])
@pytest.mark.parametrize("share_prefixes", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_every_way_gives_the_same(tiny_model, name, prefill, share_prefixes):
    model, prompts = tiny_model(name), grid()[:4]
    found = run(model.bridge, prompts, prefill=prefill, share_prefixes=share_prefixes)
    assert_equals_hugging_face(model, prompts, found)


@pytest.mark.parametrize(
    "name",
    [
        "llama",
        "gpt-oss",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ALL
            if name not in (*HYBRIDS, "llama", "gpt-oss")
        ),
    ],
)
def test_drafted_is_stepwise(tiny_model, name):
    model, prompts = tiny_model(name), grid()
    stepwise = run(model.bridge, prompts, speculate=False)
    assert_same(model.bridge, run(model.bridge, prompts), stepwise)
    assert {generation.n_passes for generation, _ in stepwise.values()} == {STEPS}


@pytest.mark.parametrize("name", ["mistral-window", "gemma3", "llama4-chunked", "gpt-oss"])
# Everyday: the shortest and the longest of these contexts.
@pytest.mark.parametrize(
    "n_haystack", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2)), 3]
)
def test_drafts_across_the_edge_of_a_window(tiny_model, name, n_haystack):
    """Contexts of 10 to 21 tokens, cut back again and again, in windows of 12."""
    model, prompts = tiny_model(name), grid(n_haystack=n_haystack)
    assert_equals_hugging_face(model, prompts, run(model.bridge, prompts))


@pytest.mark.parametrize("name", HYBRIDS)
def test_the_cache_of_a_hybrid_is_its_own(tiny_model, name):
    assert not architecture_of(tiny_model(name).bridge).cache.plain


@pytest.mark.parametrize("name", LENGTH_DEPENDENT)
@pytest.mark.parametrize("prefill", ["auto", "whole"])
def test_a_rope_that_depends_on_the_length_is_read_in_one_pass(tiny_model, name, prefill):
    """Also after a longer prompt, which dynamic RoPE would remember."""
    model, prompts = tiny_model(name), [grid(n_haystack=90)[1], *grid()[1:3]]
    found = run(model.bridge, prompts, prefill=prefill)
    assert_equals_stepwise_hugging_face(model, prompts, found)
    assert {generation.n_passes for generation, _ in found.values()} == {STEPS}


@pytest.mark.parametrize("name", LENGTH_DEPENDENT)
def test_below_its_limit_such_a_rope_is_read_like_any_other(tiny_model, name):
    model, prompts = tiny_model(name), grid(n_haystack=10)
    assert max(len(prompt.tokens) for prompt in prompts) + STEPS < 32
    found = run(model.bridge, prompts)
    assert_equals_hugging_face(model, prompts, found)
    assert found[6][0].n_passes == 1
