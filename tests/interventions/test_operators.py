"""Interventions by their names, as the command has them."""

from types import SimpleNamespace

import pytest
import torch

from rh_lens.heads import Head
from rh_lens.interventions import mean_head_outputs, operator_named, zero_ablation


def test_the_factor_is_that_of_scale(llama):
    ((_, scale),) = operator_named("scale", llama, factor=-3.0)([Head(1, 0)])
    hook = SimpleNamespace(layer=lambda: 1, hook_conversion=None)
    scaled = scale(torch.ones(1, 2, 4, 8), hook=hook)
    assert scaled[0, 0].unique(dim=1).squeeze().tolist() == [-3.0, 1.0, 1.0, 1.0]


def test_a_name_stands_for_its_function(llama, otter_prompt):
    tokens = otter_prompt.tokens[None]
    with llama.hooks(fwd_hooks=zero_ablation([Head(1, 0)], model=llama)):
        expected = llama(tokens)
    with llama.hooks(fwd_hooks=operator_named("zero", llama)([Head(1, 0)])):
        assert llama(tokens).equal(expected)
    means = mean_head_outputs(llama, [otter_prompt])
    for name, options in (("uniform", {}), ("mean", {"means": means})):
        with llama.hooks(fwd_hooks=operator_named(name, llama, **options)([Head(1, 0)])):
            assert not llama(tokens).equal(expected)


def test_means_are_needed_for_mean(llama):
    with pytest.raises(TypeError, match=r"Expected means .*Take them from mean_head_outputs"):
        operator_named("mean", llama)
