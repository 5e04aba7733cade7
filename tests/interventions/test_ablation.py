import math

import pytest
import torch
from reference_operators import output_projection
from tiny_models import make_tiny_model
from tolerances import assert_close, model_rounding

from rh_lens.heads import Head
from rh_lens.interventions import (
    HeadOutputs,
    mean_ablation,
    resample_ablation,
    scale_heads,
    zero_ablation,
)
from rh_lens.runtime import (
    StopRule,
    decode_batch,
    greedy_decode,
    inference,
    prefill,
    teacher_force,
)

HEADS = [Head(1, 0), Head(1, 3), Head(2, 2)]


def outputs(n_rows, layers=(0, 1, 2), n_heads=4):
    generator = torch.Generator().manual_seed(7)
    values = {layer: torch.randn(n_rows, n_heads, 8, generator=generator) for layer in layers}
    return HeadOutputs(values, "prompt", 1, ())


def logits(bridge, tokens, hooks):
    with inference(bridge), bridge.hooks(fwd_hooks=hooks):
        return bridge(tokens[None], return_type="logits")


def every_operator(heads):
    return {
        "zero": zero_ablation(heads),
        "scale": scale_heads(heads, 2.0),
        "mean": mean_ablation(heads, outputs(1)),
        "resample": resample_ablation(heads, outputs(3)),
    }


def test_no_heads_no_hooks():
    assert set(map(tuple, every_operator([]).values())) == {()}


def test_one_hook_for_each_layer_however_often_a_head_is_named():
    for hooks in every_operator([*HEADS, HEADS[0]]).values():
        assert [name for name, _ in hooks] == ["blocks.1.attn.hook_z", "blocks.2.attn.hook_z"]


def test_a_head_that_the_layer_lacks_is_refused_when_it_runs(llama, random_tokens):
    for hooks in (zero_ablation([Head(0, 4)]), scale_heads([Head(0, 4)], 2.0)):
        with pytest.raises(ValueError, match=r"Expected heads below 4 in layer 0; found head 4"):
            logits(llama, random_tokens, hooks)


def test_a_head_that_the_model_lacks_is_refused_at_once_where_the_model_is_known(tiny_model):
    lfm2 = tiny_model("lfm2").bridge
    with pytest.raises(ValueError, match="Expected heads below 4 in layer 1; found head 5"):
        zero_ablation([Head(1, 5)], model=lfm2)
    with pytest.raises(ValueError, match=r"in the layers \[1\], which have attention; found L2H0"):
        scale_heads([Head(2, 0)], 2.0, model=lfm2)


def test_a_layer_that_the_model_lacks_has_no_such_hook(tiny_model, random_tokens):
    with pytest.raises(KeyError, match=r"blocks\.2\.attn\.hook_z' does not exist on this model"):
        logits(tiny_model("lfm2").bridge, random_tokens, zero_ablation([Head(2, 0)]))


def test_heads_without_outputs_to_put_in_their_place_are_refused():
    for operator in (mean_ablation, resample_ablation):
        with pytest.raises(ValueError, match=r"Expected heads in the layers \[0, 2\]"):
            operator([Head(1, 0)], outputs(1, layers=(0, 2)))
        with pytest.raises(ValueError, match="Expected heads below 4 in layer 1; found head 9"):
            operator([Head(1, 9)], outputs(1))


@pytest.mark.parametrize("factor", [math.nan, math.inf, -math.inf])
def test_a_factor_must_be_finite(factor):
    with pytest.raises(
        ValueError, match=rf"Expected factor to be a finite number; found {factor}\. Use 0"
    ):
        scale_heads(HEADS, factor)


def test_the_hooks_input_is_left_alone():
    z = torch.ones(1, 3, 4, 2)
    ((_, zero),) = zero_ablation([Head(0, 1)])
    out = zero(z, hook=None)
    assert z.sum() == 24
    assert torch.equal(out[:, :, 1], torch.zeros(1, 3, 2))
    assert out.sum() == 18


def test_zero_also_replaces_what_is_not_finite():
    ((_, zero),) = zero_ablation([Head(0, 1)])
    assert torch.equal(zero(torch.full((1, 1, 2, 3), math.inf), hook=None)[0, 0, 1], torch.zeros(3))


def test_scaling_by_one_leaves_every_bit_and_by_zero_is_zero_ablation(llama, random_tokens):
    plain = logits(llama, random_tokens, [])
    assert torch.equal(logits(llama, random_tokens, scale_heads(HEADS, 1.0)), plain)
    zeroed = logits(llama, random_tokens, zero_ablation(HEADS))
    assert torch.equal(logits(llama, random_tokens, scale_heads(HEADS, 0.0)), zeroed)
    assert not torch.equal(zeroed, plain)


def test_twice_minus_one_is_nothing(llama, random_tokens):
    hooks = [*scale_heads(HEADS, -1.0), *scale_heads(HEADS, -1.0)]
    assert torch.equal(logits(llama, random_tokens, hooks), logits(llama, random_tokens, []))


def test_compatibility_mode_scales_once(tiny_tokenizer, random_tokens):
    bridge = make_tiny_model("llama", tiny_tokenizer).bridge
    once = logits(bridge, random_tokens, scale_heads(HEADS, 3.0))
    bridge.enable_compatibility_mode(no_processing=True)
    found = logits(bridge, random_tokens, scale_heads(HEADS, 3.0))
    assert_close(found, once, model_rounding(bridge, 40))


def test_z_of_a_width_that_does_not_divide_arrives_flat_and_leaves_flat():
    """4 heads of 3 values, on a model whose d_head is not 3."""

    class FlatHook:
        class hook_conversion:
            n_heads = 4

    ((_, zero),) = zero_ablation([Head(0, 1)])
    z = torch.arange(1.0, 25).reshape(1, 2, 12)
    out = zero(z, hook=FlatHook)
    assert out.shape == z.shape
    assert torch.equal((out == 0).nonzero()[:, 2], torch.tensor([3, 4, 5, 3, 4, 5]))


def test_under_latent_attention_the_model_tells_what_a_head_is(tiny_model, random_tokens):
    """TransformerLens splits 4 heads of 8 values into 8 pieces of 4."""
    bridge, shapes = tiny_model("deepseek-v3").bridge, []

    def keep(z, hook):
        shapes.append(tuple(z.shape))
        assert (z.reshape(1, 40, 4, 8)[:, :, 3] == 0).all()
        assert (z.reshape(1, 40, 4, 8)[:, :, :3] != 0).all()

    hooks = [*zero_ablation([Head(0, 3)], model=bridge), ("blocks.0.attn.hook_z", keep)]
    logits(bridge, random_tokens, hooks)
    assert shapes == [(1, 40, 8, 4)]


def test_means_are_one_row():
    with pytest.raises(ValueError, match=r"the heads' means, one row; found 3 rows\. Take their m"):
        mean_ablation(HEADS, outputs(3))
    assert len(mean_ablation(HEADS, outputs(3).mean())) == 2


def test_a_head_given_its_own_outputs_changes_nothing(llama, random_tokens):
    kept = {}

    def keep(z, hook):
        kept[hook.layer()] = z[0].clone()

    plain = logits(llama, random_tokens, [(f"blocks.{i}.attn.hook_z", keep) for i in range(3)])
    own = HeadOutputs(kept, "prompt", 1, ())
    assert torch.equal(logits(llama, random_tokens, resample_ablation(HEADS, own)), plain)


def test_a_donor_of_many_rows_gives_each_position_its_own(tiny_model, random_tokens):
    model, donor = tiny_model("llama"), outputs(40)
    found = logits(model.bridge, random_tokens, resample_ablation(HEADS, donor))

    def put(layer):
        def hook(_, inputs):
            z = inputs[0].clone()
            for head in HEADS:
                for position in range(40):
                    if head.layer == layer:
                        place = slice(8 * head.head, 8 * head.head + 8)
                        z[0, position, place] = donor.values[layer][position, head.head]
            return (z,)

        return hook

    handles = [
        output_projection(model.reference, layer).register_forward_pre_hook(put(layer))
        for layer in (1, 2)
    ]
    expected = model.reference_pass(random_tokens)[0]
    for handle in handles:
        handle.remove()
    assert_close(found[0], expected, model_rounding(model.bridge, 40))


@pytest.mark.parametrize("n_rows", [2, 39, 41])
def test_a_donor_of_another_length_is_refused(llama, random_tokens, n_rows):
    expected = rf"each of the pass's 40 positions; found {n_rows}\. Take one with donor\.draw"
    with pytest.raises(ValueError, match=expected):
        logits(llama, random_tokens, resample_ablation(HEADS, outputs(n_rows)))


@pytest.mark.parametrize("n_rows", [512, 1024])
def test_rows_are_not_given_to_pieces_of_a_prompt(tiny_tokenizer, n_rows):
    """1,025 tokens are read as 512, 512 and 1: donors of 512 rows would serve both pieces."""
    llama = make_tiny_model("llama", tiny_tokenizer).bridge
    llama.cfg.n_ctx = 2048
    tokens = torch.randint(2, 300, (1025,), generator=torch.Generator().manual_seed(3))
    hooks = resample_ablation(HEADS, outputs(n_rows))
    stop, expected = StopRule(frozenset()), f"as prompts are read in pieces here; found {n_rows} r"
    with pytest.raises(ValueError, match=expected):
        greedy_decode(llama, tokens, stop=stop, prefill_hooks=hooks)
    with pytest.raises(ValueError, match=expected), llama.hooks(fwd_hooks=hooks):
        prefill(llama, tokens)
    with pytest.raises(ValueError, match=expected), llama.hooks(fwd_hooks=hooks):
        decode_batch(llama, [tokens] * 2, decode_hooks=[(), ()], max_new_tokens=1, stop=stop)
    answer = outputs(7), tokens[:7]
    with pytest.raises(ValueError, match="as prompts are read in pieces here; found 7 rows"):
        teacher_force(
            llama, tokens[:40], answer[1], decode_hooks=resample_ablation(HEADS, answer[0])
        )
    drawn = resample_ablation(HEADS, outputs(n_rows).draw(0))
    assert len(greedy_decode(llama, tokens, stop=stop, prefill_hooks=drawn).tokens) == 32
    assert logits(llama, tokens[:7], resample_ablation(HEADS, answer[0])).isfinite().all()


def test_outputs_are_brought_to_the_models_precision():
    donor = outputs(1).mean()
    assert donor.values[1].dtype == torch.float64
    ((_, put), _) = mean_ablation(HEADS, donor)
    out = put(torch.zeros(2, 5, 4, 8, dtype=torch.bfloat16), hook=None)
    assert out.dtype == torch.bfloat16
    expected = donor.values[1][0, 3].bfloat16().expand(2, 5, 8)
    assert torch.equal(out[:, :, 3], expected)
    assert (out[:, :, 1:3] == 0).all()


def test_gradients_flow_past_an_ablation(tiny_tokenizer, random_tokens):
    bridge = make_tiny_model("llama", tiny_tokenizer).bridge
    with bridge.hooks(fwd_hooks=[*zero_ablation(HEADS), *scale_heads([Head(0, 1)], 2.0)]):
        bridge(random_tokens[None], return_type="loss").backward()
    grad = bridge.blocks[1].attn.o.original_component.weight.grad
    assert (grad[:, :8] == 0).all()
    assert (grad[:, 8:24] != 0).any()
