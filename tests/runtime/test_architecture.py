from types import SimpleNamespace

import pytest
import torch

from rh_lens.runtime import attention_layers, input_device, require_bridge


def test_a_bridge_is_accepted(llama):
    require_bridge(llama)
    assert attention_layers(llama) == (0, 1, 2)
    assert input_device(llama) == torch.device("cpu")


def test_only_layers_with_attention_count(tiny_model):
    assert attention_layers(tiny_model("lfm2").bridge) == (1,)


def test_a_hugging_face_model_is_refused_with_the_way_out(tiny_model):
    with pytest.raises(TypeError, match=r"found LlamaForCausalLM\. Boot one with .*hf_model=model"):
        require_bridge(tiny_model("llama").reference)


def test_a_model_name_is_refused():
    with pytest.raises(TypeError, match="Expected a TransformerBridge; found str"):
        attention_layers("gpt2")


def test_a_model_without_attention_is_refused():
    mamba = SimpleNamespace(
        blocks_with=lambda name: [],
        original_model=None,
        cfg=SimpleNamespace(n_layers=4, model_name="mamba"),
    )
    with pytest.raises(ValueError, match="found none in the 4 layers of 'mamba'"):
        attention_layers(mamba)
