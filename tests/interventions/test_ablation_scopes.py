"""Every operator at `hook_z`, in every scope, against plain Hugging Face."""

import pytest
import torch
from reference_operators import (
    assert_equals_hugging_face,
    attention_layers,
    columns_times,
    outputs_become,
    together,
)
from tiny_models import ARCHITECTURES, HYBRIDS, LENGTH_DEPENDENT, OTHERS

from rh_lens.heads import Head
from rh_lens.interventions import (
    HeadOutputs,
    mean_ablation,
    resample_ablation,
    scale_heads,
    zero_ablation,
)

MODELS = [*ARCHITECTURES, *HYBRIDS, *OTHERS, *LENGTH_DEPENDENT]


def random_outputs(layers, n_rows):
    generator = torch.Generator().manual_seed(5)
    values = {layer: torch.randn(n_rows, 4, 8, generator=generator) for layer in layers}
    return HeadOutputs(values, "answer", 1, ())


@pytest.mark.parametrize("name", MODELS)
def test_zeroing_equals_zeroing_the_projections_columns(tiny_model, random_tokens, name):
    model = tiny_model(name)
    first, last = attention_layers(model)[0], attention_layers(model)[-1]
    heads = [Head(first, 1), Head(first, 2), Head(last, 3)]
    hooks = zero_ablation(heads, model=model.bridge)
    assert_equals_hugging_face(model, random_tokens, hooks, columns_times(0.0, heads))


@pytest.mark.parametrize("name", MODELS)
def test_scaling_means_and_donors_equal_edits_of_the_projection(tiny_model, random_tokens, name):
    """One head is amplified, one says a mean, one says what it said elsewhere."""
    model = tiny_model(name)
    first, last = attention_layers(model)[0], attention_layers(model)[-1]
    amplified, averaged, resampled = Head(first, 0), Head(first, 1), Head(last, 3)
    donor = random_outputs({first, last}, 5)
    means, drawn = donor.mean(), donor.draw(seed=3)
    hooks = [
        *scale_heads([amplified], 3.0, model=model.bridge),
        *mean_ablation([averaged], means),
        *resample_ablation([resampled], drawn),
    ]
    operator = together(
        columns_times(3.0, [amplified]),
        outputs_become(means.values[first][0, 1].float(), averaged),
        outputs_become(drawn.values[last][0, 3], resampled),
    )
    assert_equals_hugging_face(model, random_tokens, hooks, operator)
