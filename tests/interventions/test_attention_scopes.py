"""Uniform attention and cut edges, in every scope, against plain Hugging Face."""

import pytest
from reference_operators import (
    assert_equals_hugging_face,
    attention_layers,
    edges_cut,
    forced,
    plain_logits,
    queries_zeroed,
)
from tiny_models import ARCHITECTURES, HYBRIDS, LENGTH_DEPENDENT, OTHERS
from tolerances import assert_close, assert_differs, model_rounding

from rh_lens.heads import Head
from rh_lens.interventions import knock_out_edges, uniform_attention
from rh_lens.runtime import Condition

# TransformerLens leaves their attention to Hugging Face.
DELEGATING = ["gpt-neo", "llama4-chunked", "opt", "gptj"]
MODELS = [
    name
    for name in [*ARCHITECTURES, *HYBRIDS, *OTHERS, *LENGTH_DEPENDENT]
    if name not in DELEGATING
]


@pytest.mark.parametrize("name", MODELS)
def test_uniform_attention_equals_a_query_projection_of_zeros(tiny_model, random_tokens, name):
    model = tiny_model(name)
    first, last = attention_layers(model)[0], attention_layers(model)[-1]
    heads = [Head(first, 1), Head(first, 2), Head(last, 3)]
    hooks = uniform_attention(model.bridge, heads)
    assert_equals_hugging_face(model, random_tokens, hooks, queries_zeroed(name, heads))


@pytest.mark.parametrize("name", MODELS)
def test_cut_edges_equal_a_mask_of_one_head(tiny_model, random_tokens, name):
    model = tiny_model(name)
    layer, keys = attention_layers(model)[0], list(range(1, 39, 2))
    hooks = knock_out_edges(model.bridge, [Head(layer, 2)], keys, keeps_all_keys=True)
    answer = random_tokens[:3]
    found = forced(model, random_tokens, answer, Condition(hooks, "decode"))
    operator = edges_cut(Head(layer, 2), keys)
    expected = plain_logits(model, random_tokens, answer, operator, "decode")
    relative = model_rounding(model.bridge, 43)
    assert_close(found, expected, relative)
    plain = forced(model, random_tokens, answer, Condition())
    assert_differs(found, plain, relative)


@pytest.mark.parametrize("name", DELEGATING)
def test_attention_that_discards_edits_is_refused(tiny_model, name):
    bridge = tiny_model(name).bridge
    expected = rf"AttentionBridge of 'tiny-{name}' discards such edits in the layers \[0, 1\]"
    for operator in (uniform_attention, lambda *args: knock_out_edges(*args, [3])):
        with pytest.raises(ValueError, match=expected):
            operator(bridge, [Head(0, 1), Head(1, 0)])
