"""A KV cache with a window of its own per key-value group: exact, and as small as it says."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny_models import TinyModel
from tolerances import assert_close, model_rounding
from torch import Tensor
from transformers import DynamicCache

from rh_lens.uses import attention_shape, cache_bytes, headwise_attention

MODELS = ("llama", "mistral-window", "qwen3", "gemma3", "gpt2", "gpt-neox", "phi3", "lfm2", "yarn")
SINK = 2


def mixed_windows(model: Any) -> Tensor:
    """Some groups keep everything, the others windows of several sizes."""
    shape = attention_shape(model)
    sizes = torch.tensor([math.inf, 7.0, 1.0, 19.0])
    return sizes.repeat(shape.n_layers * shape.n_groups)[: shape.n_layers * shape.n_groups].reshape(
        shape.n_layers, shape.n_groups
    )


def window_hooks(
    windows: Tensor, n_heads: int, layers: tuple[int, ...]
) -> list[tuple[str, Callable[..., Tensor]]]:
    """Hooks that hide from every query what its group's window does not cover."""

    def hide(layer: int) -> Callable[..., Tensor]:
        def hook(scores: Tensor, hook: Any) -> Tensor:
            query, key = torch.arange(scores.shape[2])[:, None], torch.arange(scores.shape[3])
            seen = windows[layer].repeat_interleave(n_heads // windows.shape[1])[:, None, None]
            visible = (key < SINK) | (query - key < seen)
            return scores.masked_fill(~visible, torch.finfo(scores.dtype).min)

        return hook

    return [(f"blocks.{layer}.attn.hook_attn_scores", hide(layer)) for layer in layers]


@torch.no_grad()
def logits_of(model: Any, tokens: Tensor, windows: Tensor, chunks: list[int]) -> tuple[Tensor, int]:
    with headwise_attention(model, windows, sink=SINK) as new_cache:
        cache = new_cache()
        parts = [model(t[None], past_key_values=cache).logits[0] for t in tokens.split(chunks)]
    return torch.cat(parts), cache_bytes(cache)


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_whole_windows_change_no_bit(
    name: str, tiny_model: Callable[[str], TinyModel], random_tokens: Tensor
) -> None:
    model = tiny_model(name).reference
    shape = attention_shape(model)
    whole = torch.full((shape.n_layers, shape.n_groups), math.inf)
    model.set_attn_implementation("sdpa")
    try:
        plain = model(random_tokens[None], past_key_values=DynamicCache(config=shape.config))
    finally:
        model.set_attn_implementation("eager")
    found, _ = logits_of(model, random_tokens, whole, [40])
    assert torch.equal(found, plain.logits[0])
    assert model.config._attn_implementation == "eager"


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_windows_equal_masks_on_the_scores_however_the_prompt_is_read(
    name: str, tiny_model: Callable[[str], TinyModel], random_tokens: Tensor
) -> None:
    tiny = tiny_model(name)
    windows = mixed_windows(tiny.reference)
    shape = attention_shape(tiny.reference)
    # Other layers have windows of the model's own, or no attention.
    hooks = window_hooks(windows, shape.n_heads, shape.full_layers)
    with tiny.bridge.hooks(fwd_hooks=hooks):
        masked = tiny.bridge(random_tokens[None])[0]
    tolerance = model_rounding(tiny.bridge, 40)
    for chunks in ([40], [30, *[1] * 10], [3, 20, 1, 16]):
        found, n_bytes = logits_of(tiny.reference, random_tokens, windows, chunks)
        assert_close(found, masked, tolerance)
        if len(shape.full_layers) == shape.n_layers:
            assert n_bytes == shape.cache_bytes(windows, sink=SINK, n_tokens=40)


def test_bytes_are_those_of_the_positions_that_are_kept(
    tiny_model: Callable[[str], TinyModel], random_tokens: Tensor
) -> None:
    """Layer by layer (40; 2 + 6), (2 + 0; 2 + 18), (40; 2 + 6) positions of 2 x 8 floats."""
    model = tiny_model("llama").reference
    _, n_bytes = logits_of(model, random_tokens, mixed_windows(model), [40])
    assert n_bytes == (40 + 8 + 2 + 20 + 40 + 8) * 2 * 8 * 4


@torch.no_grad()
def test_generate_in_chunks_on_a_bridge_and_on_its_model(
    tiny_model: Callable[[str], TinyModel], random_tokens: Tensor
) -> None:
    tiny = tiny_model("qwen3")
    windows = mixed_windows(tiny.reference)
    answers = []
    for model, hf_model in (
        (tiny.reference, tiny.reference),
        (tiny.bridge, tiny.bridge.original_model),
    ):
        for chunk in (None, 16):
            with headwise_attention(model, windows, sink=SINK) as new_cache:
                said = hf_model.generate(
                    random_tokens[None],
                    past_key_values=new_cache(),
                    max_new_tokens=6,
                    do_sample=False,
                    prefill_chunk_size=chunk,
                )
            answers.append(said[0].tolist())
    assert answers == [answers[0]] * 4
    assert len(answers[0]) == 46
    before = tiny.reference(random_tokens[None]).logits
    assert_close(tiny.bridge(random_tokens[None]), before, model_rounding(tiny.bridge, 40))


@torch.no_grad()
def test_beams_move_their_rows(
    tiny_model: Callable[[str], TinyModel], random_tokens: Tensor
) -> None:
    """With whole windows, beam search says what it says without this cache."""
    model = tiny_model("llama").reference
    options = {"max_new_tokens": 5, "do_sample": False, "num_beams": 3}
    plain = model.generate(random_tokens[None], **options)
    with headwise_attention(model, torch.full((3, 2), math.inf)) as new_cache:
        found = model.generate(random_tokens[None], past_key_values=new_cache(), **options)
    assert torch.equal(found, plain)


def test_what_cannot_be_done_is_refused(
    tiny_model: Callable[[str], TinyModel], random_tokens: Tensor
) -> None:
    model = tiny_model("llama").reference
    whole = torch.full((3, 2), math.inf)
    padded = torch.ones(1, 40, dtype=torch.long)
    padded[0, :3] = 0
    with headwise_attention(model, mixed_windows(model)) as new_cache, torch.no_grad():
        cache = new_cache()
        with pytest.raises(ValueError, match="without padding; found 3 padded positions"):
            model(random_tokens[None], attention_mask=padded, past_key_values=cache)
    with headwise_attention(model, whole) as new_cache, torch.no_grad():
        cache = new_cache()
        model(random_tokens[None], past_key_values=cache)
    with pytest.raises(ValueError, match="a cache that only grows; found -2 tokens to remove"):
        cache.crop(-2)
    assert model.config._attn_implementation == "eager"


@pytest.mark.parametrize(
    ("name", "windows", "message"),
    [
        ("llama", torch.full((2, 2), 5.0), r"of shape \[3, 2\]; found \[2, 2\]"),
        ("llama", torch.full((3, 2), 0.5), r"from 1 on, or inf for all; found 0\.5"),
        ("gemma2", torch.full((3, 2), 5.0), "Gemma2ForCausalLM has no SDPA"),
    ],
)
def test_what_does_not_fit_a_model_is_refused(
    name: str, windows: Tensor, message: str, tiny_model: Callable[[str], TinyModel]
) -> None:
    context = headwise_attention(tiny_model(name).reference, windows)
    with pytest.raises(ValueError, match=message):
        context.__enter__()
