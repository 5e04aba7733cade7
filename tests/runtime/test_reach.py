from types import SimpleNamespace

import pytest
import torch
from transformers import AutoConfig

from rh_lens.runtime import Reach, attention_reach
from rh_lens.runtime.reach import layer_reach

POSITIONS = torch.tensor([0, 5, 11, 12, 30])


def test_everything_is_visible_without_a_window():
    assert Reach().first_visible(POSITIONS).tolist() == [0, 0, 0, 0, 0]
    assert Reach().cut_key_length(1) is None


def test_a_window_counts_the_row_itself():
    assert Reach(window=12).first_visible(POSITIONS).tolist() == [0, 0, 0, 1, 19]


def test_a_chunk_begins_at_its_multiple():
    assert Reach(chunk=12).first_visible(POSITIONS).tolist() == [0, 0, 0, 12, 24]


@pytest.mark.parametrize("reach", [Reach(window=12), Reach(chunk=12)])
def test_a_cut_cache_keeps_one_key_less_than_the_window_and_adds_the_pass(reach):
    assert reach.cut_key_length(1) == 12
    assert reach.cut_key_length(5) == 16


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama", [Reach(), Reach(), Reach()]),
        ("mistral", [Reach(), Reach(), Reach()]),
        ("mistral-window", [Reach(window=12)] * 3),
        ("qwen2", [Reach(), Reach(), Reach()]),
        ("qwen2-window", [Reach(), Reach(window=12), Reach(window=12)]),
        ("gemma2", [Reach(window=12), Reach(), Reach(window=12)]),
        ("gemma3", [Reach(window=12), Reach(window=12), Reach()]),
        ("gpt-neo", [Reach(), Reach(window=12)]),
        ("gpt-oss", [Reach(window=12), Reach(), Reach(window=12)]),
        ("llama4-chunked", [Reach(chunk=12)] * 3),
    ],
)
def test_the_configuration_decides(tiny_model, name, expected):
    assert attention_reach(tiny_model(name).bridge) == dict(enumerate(expected))


def test_a_hybrid_has_reach_only_where_it_has_attention(tiny_model):
    assert attention_reach(tiny_model("lfm2").bridge) == {1: Reach()}


@pytest.mark.parametrize("in_use", [True, False])
def test_use_sliding_window_switches_a_window_off(in_use):
    config = SimpleNamespace(sliding_window=8, use_sliding_window=in_use)
    assert layer_reach(config, 0) == (Reach(window=8) if in_use else Reach())


def test_phi3_has_its_window_in_every_layer():
    config = AutoConfig.for_model("phi3", num_hidden_layers=2, sliding_window=2047)
    assert [layer_reach(config, layer) for layer in range(2)] == [Reach(window=2047)] * 2


def test_a_model_without_configuration_sees_everything():
    from transformer_lens.model_bridge import TransformerBridge

    sizes = {"n_layers": 2, "n_heads": 2, "d_head": 4, "d_model": 8, "d_vocab": 9, "n_ctx": 16}
    native = TransformerBridge.boot_native({**sizes, "act_fn": "gelu"})
    assert attention_reach(native) == {0: Reach(), 1: Reach()}
