"""The hash of all weights: nothing that is done to one of them goes unnoticed."""

from contextlib import contextmanager

import pytest
import torch

from rh_lens.demo import load_demo_model
from rh_lens.runs import describe_model, weights, weights_sha256
from rh_lens.runs.run_key import require_same_weights


@contextmanager
def changed(parameter, change):
    kept = parameter.data.clone()
    try:
        parameter.data.copy_(change(kept.clone()))
        assert not torch.equal(parameter.data, kept)
        yield
    finally:
        parameter.data.copy_(kept)


def zero_all_but_column_zero(weight):
    weight[:, 1:] = 0
    return weight


def double_the_last(weight):
    weight[-1, -1] = 1 if weight[-1, -1] == 0 else 2 * weight[-1, -1]
    return weight


CHANGES = {
    "all columns but the first": zero_all_but_column_zero,
    "one value": double_the_last,
    "two rows swapped": lambda weight: weight[[1, 0, *range(2, len(weight))]],
    "two columns swapped": lambda weight: weight[:, [1, 0, *range(2, weight.shape[1])]],
    "signs": lambda weight: -weight,
    "two values swapped by sign": lambda weight: weight * torch.tensor([-1.0] + [1.0] * 31),
    "reversed": lambda weight: weight.flip(0, 1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_weight_changes_the_hash_and_nothing_else_does(llama, change):
    before = weights_sha256(llama)
    weight = llama.original_model.model.layers[1].self_attn.q_proj.weight
    assert weight.shape == (32, 32)
    with changed(weight, CHANGES[change]):
        assert weights_sha256(llama) != before
    assert weights_sha256(llama) == before


def test_two_layers_that_change_places_change_the_hash(llama):
    before = weights_sha256(llama)
    one, other = (llama.original_model.model.layers[i].self_attn.q_proj.weight for i in (0, 1))
    kept = one.data.clone()
    with changed(one, lambda weight: other.data.clone()), changed(other, lambda weight: kept):
        assert weights_sha256(llama) != before


def test_any_value_of_any_parameter_counts(tiny_model):
    """Also of GPT-2, whose queries, keys and values TransformerLens copies out of one matrix."""
    model = tiny_model("gpt2").bridge
    before = weights_sha256(model)
    for _, parameter in model.named_parameters():
        last = (-1,) * parameter.ndim
        kept = parameter.data[last].clone()
        parameter.data[last] = kept + 1
        assert weights_sha256(model) != before
        parameter.data[last] = kept
    assert weights_sha256(model) == before


def test_the_heads_that_a_sample_of_values_did_not_see():
    """28 of 32 heads of the bundled model silenced in memory: once noticed by nothing."""
    model = load_demo_model()
    before = weights_sha256(model)
    for layer in model.original_model.model.layers:
        layer.self_attn.o_proj.weight.data[:, 32:] = 0
    assert weights_sha256(model) != before


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_every_precision_has_its_own_hash_and_pieces_play_no_part(llama, monkeypatch, dtype):
    before = weights_sha256(llama)
    monkeypatch.setattr(weights, "_PIECE_BYTES", 24)
    assert weights_sha256(llama) == before
    tensor = torch.arange(12.0).reshape(3, 4)
    assert weights._sha256(tensor.t()) == weights._sha256(tensor.t().contiguous())
    assert weights._sha256(tensor.t()) != weights._sha256(tensor)
    assert weights._sha256(tensor.to(dtype)) != weights._sha256(tensor)


def test_weights_that_are_not_in_memory_are_refused(llama, monkeypatch):
    absent = {"lm_head.weight": torch.empty(2, 2, device="meta")}
    monkeypatch.setattr(llama.original_model, "state_dict", lambda: absent)
    with pytest.raises(ValueError, match=r"found 1 of 1 on the meta device, such as 'lm_head"):
        weights_sha256(llama)


def test_a_run_of_other_weights_is_refused_by_name(llama, tmp_path):
    there = describe_model(llama, "tiny")
    require_same_weights(tmp_path, there, describe_model(llama, "elsewhere"))
    with changed(llama.original_model.model.layers[1].self_attn.q_proj.weight, lambda w: -w):
        here = describe_model(llama, "tiny")
    with pytest.raises(ValueError, match=r"differs in weights_sha256: '\w{12}' there, '\w{12}'"):
        require_same_weights(tmp_path, there, here)
    with pytest.raises(ValueError, match=r"differs in dtype: 'float32' there, 'bfloat16' here\."):
        require_same_weights(tmp_path, there, there | {"dtype": "bfloat16"})
    del there["weights_sha256"]
    with pytest.raises(ValueError, match=r"without its model\. Give its head_scores\.json"):
        require_same_weights(tmp_path, there, here)
