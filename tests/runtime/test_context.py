import pytest
import torch
from tolerances import assert_close, model_rounding

from rh_lens.runtime import inference, prefill


@pytest.mark.parametrize("name", ["llama", "mistral-window", "gemma3", "lfm2", "bamba"])
def test_cached_logits_equal_uncached_ones(tiny_model, random_tokens, name):
    model = tiny_model(name)
    with inference(model.bridge):
        context = prefill(model.bridge, random_tokens[:30])
        logits = context.read(random_tokens[30:31].tolist())
        more = context.read(random_tokens[31:].tolist())
    assert context.n_read == 40
    expected, _ = model.reference_pass(random_tokens)
    assert_close(torch.cat([logits, more]), expected[30:], model_rounding(model.bridge, 40))


def test_reading_can_begin_with_nothing(tiny_model, random_tokens):
    model = tiny_model("llama")
    with inference(model.bridge):
        context = prefill(model.bridge, random_tokens[:0])
        assert context.n_read == 0
        logits = context.read(random_tokens.tolist())
    expected, _ = model.reference_pass(random_tokens)
    assert_close(logits, expected, model_rounding(model.bridge, 40))


def test_a_plain_cache_keeps_all_keys_behind_a_window(tiny_model, random_tokens):
    context = prefill(tiny_model("mistral-window").bridge, random_tokens)
    assert [layer.keys.shape[-2] for layer in context.cache.layers] == [40, 40, 40]


def test_a_model_without_cache_is_refused(random_tokens):
    from transformer_lens.model_bridge import TransformerBridge

    sizes = {"n_layers": 1, "n_heads": 2, "d_head": 4, "d_model": 8, "d_vocab": 320, "n_ctx": 64}
    native = TransformerBridge.boot_native({**sizes, "act_fn": "gelu"})
    with pytest.raises(ValueError, match=r"Expected 'native' to return a KV cache; found none"):
        prefill(native, random_tokens)
