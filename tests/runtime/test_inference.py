import pytest
import torch

from rh_lens.runtime import inference


@pytest.fixture
def bridge(tiny_model):
    """The shared Llama, put back into evaluation mode whatever the test did."""
    bridge = tiny_model("llama").bridge
    yield bridge
    bridge.eval()


def training_flags(bridge):
    modules = {*bridge.modules(), *bridge.original_model.modules()}
    return {id(module): module.training for module in modules}


def test_inside_there_is_neither_dropout_nor_gradient(bridge):
    bridge.train()
    with inference(bridge):
        assert not any(training_flags(bridge).values())
        assert torch.is_inference_mode_enabled()
        assert not torch.is_grad_enabled()


def test_mixed_training_flags_come_back_one_by_one(bridge):
    bridge.blocks[1].train()
    before = training_flags(bridge)
    assert set(before.values()) == {True, False}
    with inference(bridge):
        pass
    assert training_flags(bridge) == before


def test_flags_come_back_after_an_error(bridge):
    bridge.train()
    with pytest.raises(RuntimeError, match="halfway"), inference(bridge):
        raise RuntimeError("halfway")
    assert all(training_flags(bridge).values())
    assert not torch.is_inference_mode_enabled()


def test_contexts_nest(bridge):
    bridge.train()
    with inference(bridge):
        with inference(bridge):
            pass
        assert not bridge.training
        assert torch.is_inference_mode_enabled()
    assert bridge.training
