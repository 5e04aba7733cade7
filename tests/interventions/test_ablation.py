import pytest
import torch

from rh_lens.heads import Head
from rh_lens.interventions import zero_ablation

HEADS = [Head(1, 0), Head(1, 3), Head(2, 2)]


def test_zeroing_equals_zeroing_the_projections_columns_in_plain_hugging_face(
    tiny_model, random_tokens
):
    model = tiny_model("llama")
    with model.bridge.hooks(fwd_hooks=zero_ablation(HEADS)):
        ablated = model.bridge(random_tokens[None], return_type="logits")
    plain = model.reference
    kept = {name: value.clone() for name, value in plain.state_dict().items() if "o_proj" in name}
    try:
        for head in HEADS:
            weight = plain.model.layers[head.layer].self_attn.o_proj.weight.data
            d_head = weight.shape[1] // plain.config.num_attention_heads
            weight[:, head.head * d_head : (head.head + 1) * d_head] = 0
        expected = plain(random_tokens[None]).logits
    finally:
        plain.load_state_dict(kept, strict=False)
    assert (ablated - expected).abs().max() <= 1e-5


def test_no_heads_no_hooks():
    assert zero_ablation([]) == []


def test_one_hook_for_each_layer_however_often_a_head_is_named():
    names = [name for name, _ in zero_ablation([*HEADS, HEADS[0]])]
    assert names == ["blocks.1.attn.hook_z", "blocks.2.attn.hook_z"]


def test_a_head_that_the_model_lacks_is_refused(llama, random_tokens):
    with (
        llama.hooks(fwd_hooks=zero_ablation([Head(0, 4)])),
        pytest.raises(ValueError, match=r"Expected heads below 4 in layer 0; found head 4"),
    ):
        llama(random_tokens[None])


def test_the_hooks_input_is_left_alone():
    z = torch.ones(1, 3, 4, 2)
    ((_, zero),) = zero_ablation([Head(0, 1)])
    out = zero(z, hook=None)
    assert z.sum() == 24
    assert torch.equal(out[:, :, 1], torch.zeros(1, 3, 2))
    assert out.sum() == 18
