"""Estimates from gradients: exact where the metric is linear, close where it is not."""

import pytest
import torch
from tolerances import assert_close, model_rounding

from rh_lens.circuits import (
    answer_logit_difference,
    attribution_patch_heads,
    make_pairs,
    patch_head_sets,
    patch_heads,
)
from rh_lens.heads import Head


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3", "gpt-neox"])
@pytest.mark.parametrize("rows", ["answer", "prompt"])
def test_one_step_is_the_difference_times_the_gradient(tiny_model, tiny_pair, name, rows):
    """Against a gradient by hand: a whole pass with a leaf added to one layer's outputs."""
    model, layer = tiny_model(name).bridge, 1
    found = attribution_patch_heads(model, tiny_pair, rows=rows)
    answer, point = tiny_pair.answer, f"blocks.{layer}.attn.hook_z"
    clean, corrupted = (
        torch.cat([tokens, answer[:-1]])[None]
        for tokens in (tiny_pair.clean.tokens, tiny_pair.corrupted)
    )
    outputs = [model.run_with_cache(tokens)[1][point].detach() for tokens in (clean, corrupted)]
    leaf = torch.zeros_like(outputs[0], requires_grad=True)
    logits = model.run_with_hooks(corrupted, fwd_hooks=[(point, lambda z, hook: z + leaf)])
    answer_logit_difference(logits[0, -len(answer) :], answer, tiny_pair.foil).backward()
    product = ((outputs[0] - outputs[1]) * leaf.grad)[0]
    first = len(tiny_pair.corrupted) - 1 if rows == "answer" else 0
    model.zero_grad()
    expected = product[first:].sum(dim=(0, 2))
    assert_close(found.values[0, layer], expected, 100 * model_rounding(model, 160))


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_integrated_gradients_of_a_layer_sum_to_the_effect_of_patching_it(
    tiny_model, tiny_pair, name
):
    model = tiny_model(name).bridge
    sets = {str(layer): [Head(layer, h) for h in range(4)] for layer in range(3)}
    real = patch_head_sets(model, tiny_pair, sets).effect[0]
    errors = {
        n: (attribution_patch_heads(model, tiny_pair, n_steps=n).values[0].sum(-1) - real).abs()
        for n in (2, 16)
    }
    assert (errors[16] < 0.02 * real.abs().max()).all()
    assert errors[16].sum() < errors[2].sum()


@pytest.mark.slow
def test_estimates_agree_with_patching_on_the_bundled_model(demo, answer_pairs):
    pairs = answer_pairs.pairs[:2]
    real = patch_heads(demo, pairs)
    found = attribution_patch_heads(demo, pairs).agreement(real, k=4)
    assert (found.n_heads, found.n_common) == (32, 4)
    assert found.pearson > 0.99
    assert found.spearman > 0.5


@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_frozen_models_stay_frozen_and_others_get_no_gradients(demo, answer_pairs):
    weights = list(demo.original_model.parameters())
    before = attribution_patch_heads(demo, answer_pairs.pairs[:1])
    assert all(weight.grad is None for weight in weights)
    needed = [weight.requires_grad for weight in weights]
    try:
        for weight in weights:
            weight.requires_grad_(False)
        frozen = attribution_patch_heads(demo, answer_pairs.pairs[:1])
    finally:
        for weight, need in zip(weights, needed, strict=True):
            weight.requires_grad_(need)
    assert torch.equal(before.values, frozen.values)


def test_estimates_are_only_compared_with_the_same_patching(llama, tiny_pair):
    found = attribution_patch_heads(llama, tiny_pair)
    with pytest.raises(ValueError, match="found 'z', 'prompt' and 'corrupted'"):
        found.agreement(patch_heads(llama, tiny_pair, "L0H1", rows="prompt"))
    with pytest.raises(ValueError, match="three heads or more to compare; found 1"):
        found.agreement(patch_heads(llama, tiny_pair, "L0H1"))
    table = found.to_dataframe()
    assert len(table) == 12
    assert found.top(1)[0][0] == table.sort_values("restored").label.iloc[-1]


def test_hybrids_are_refused(tiny_model, tiny_pair):
    with pytest.raises(ValueError, match="read on from with gradients; found that"):
        attribution_patch_heads(tiny_model("lfm2").bridge, tiny_pair)


@pytest.mark.slow
def test_the_key_corruption_is_estimated_too(demo, demo_prompts):
    pairs = make_pairs(demo_prompts, "key")
    real = patch_heads(demo, pairs, rows="prompt")
    one, many = (
        attribution_patch_heads(demo, pairs, rows="prompt", n_steps=n).agreement(real, k=6)
        for n in (1, 8)
    )
    assert many.pearson > 0.9
    assert many.n_common >= one.n_common
