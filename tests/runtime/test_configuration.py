from types import SimpleNamespace

import pytest
import torch
from transformers import AutoConfig

from rh_lens.runtime import AttentionWindow as Window
from rh_lens.runtime import architecture_of
from rh_lens.runtime.configuration import attention_window

POSITIONS = torch.tensor([0, 5, 11, 12, 30])


def test_everything_is_visible_without_a_window():
    assert Window().first_visible(POSITIONS).tolist() == [0, 0, 0, 0, 0]
    assert Window().cut_key_length(1) is None


def test_a_window_counts_the_row_itself():
    assert Window(sliding=12).first_visible(POSITIONS).tolist() == [0, 0, 0, 1, 19]


def test_a_chunk_begins_at_its_multiple():
    assert Window(chunk=12).first_visible(POSITIONS).tolist() == [0, 0, 0, 12, 24]


@pytest.mark.parametrize("window", [Window(sliding=12), Window(chunk=12)])
def test_a_cut_cache_keeps_one_key_less_than_the_window_and_adds_the_pass(window):
    assert window.cut_key_length(1) == 12
    assert window.cut_key_length(5) == 16


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama", [Window(), Window(), Window()]),
        ("mistral", [Window(), Window(), Window()]),
        ("mistral-window", [Window(sliding=12)] * 3),
        ("qwen2", [Window(), Window(), Window()]),
        ("qwen2-window", [Window(), Window(sliding=12), Window(sliding=12)]),
        ("gemma2", [Window(sliding=12), Window(), Window(sliding=12)]),
        ("gemma3", [Window(sliding=12), Window(sliding=12), Window()]),
        ("gpt-neo", [Window(), Window(sliding=12)]),
        ("gpt-oss", [Window(sliding=12), Window(), Window(sliding=12)]),
        ("llama4-chunked", [Window(chunk=12)] * 3),
    ],
)
def test_the_configuration_decides(tiny_model, name, expected):
    assert architecture_of(tiny_model(name).bridge).windows == dict(enumerate(expected))


def test_a_hybrid_has_reach_only_where_it_has_attention(tiny_model):
    assert architecture_of(tiny_model("lfm2").bridge).windows == {1: Window()}


@pytest.mark.parametrize("in_use", [True, False])
def test_use_sliding_window_switches_a_window_off(in_use):
    config = SimpleNamespace(sliding_window=8, use_sliding_window=in_use)
    assert attention_window(config, 0) == (Window(sliding=8) if in_use else Window())


def test_phi3_has_its_window_in_every_layer():
    config = AutoConfig.for_model("phi3", num_hidden_layers=2, sliding_window=2047)
    assert [attention_window(config, layer) for layer in range(2)] == [Window(sliding=2047)] * 2


def test_a_model_without_configuration_sees_everything():
    from transformer_lens.model_bridge import TransformerBridge

    sizes = {"n_layers": 2, "n_heads": 2, "d_head": 4, "d_model": 8, "d_vocab": 9, "n_ctx": 16}
    native = TransformerBridge.boot_native({**sizes, "act_fn": "gelu"})
    assert architecture_of(native).windows == {0: Window(), 1: Window()}
