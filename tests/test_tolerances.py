"""The tolerances of the suite hold ten times what rounding does, and their checks can fail."""

import copy

import pytest
import torch
from tolerances import (
    MARGIN,
    assert_close,
    assert_differs,
    assert_largest,
    model_rounding,
    rounding,
    weight_rounding,
)


def test_a_sum_in_another_order_differs_by_a_tenth_at_most():
    values = torch.rand(1000, 256, generator=torch.Generator().manual_seed(0))
    total = torch.zeros(1000)
    for column in values.T:
        total = total + column
    error = (total - values.double().sum(dim=1)).abs() / values.double().sum(dim=1)
    assert rounding(256) / 1000 < float(error.max()) < rounding(256) / MARGIN


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2", "phi3", "bamba"])
def test_double_precision_differs_by_a_tenth_at_most(tiny_model, random_tokens, name):
    model = tiny_model(name)
    exact = copy.deepcopy(model.reference).double()
    with torch.no_grad():
        expected = exact(random_tokens[None], output_attentions=True, use_cache=False)
    logits, rows = model.reference_pass(random_tokens)
    assert_close(logits, expected.logits[0], model_rounding(model.bridge, 40) / MARGIN)
    error = (rows - torch.cat([rows for rows in expected.attentions if rows is not None])).abs()
    allowed = weight_rounding(model.bridge, 40)
    assert allowed / 10_000 < float(error.max()) < allowed / MARGIN


def test_values_farther_off_are_told():
    expected = torch.tensor([1.0, 100.0])
    assert_close(expected + 0.009, expected, 1e-4)
    with pytest.raises(AssertionError, match="Tensor-likes are not close"):
        assert_close(expected + 0.02, expected, 1e-4)
    assert_differs(expected + 0.03, expected, 1e-4)
    with pytest.raises(AssertionError):
        assert_differs(expected + 0.02, expected, 1e-4)


def test_positions_are_the_largest_or_as_large():
    values = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.7, 0.3], [0.9, 0.1], [0.5, 0.5001]])
    for last in (0, 1):
        assert_largest(torch.tensor([1, 0, 0, 0, last]), values, 1e-3)
    with pytest.raises(AssertionError, match=r"lower by 4\.00e-01"):
        assert_largest(torch.tensor([1, 0, 1, 0, 1]), values, 1e-3)
    with pytest.raises(AssertionError, match="40% of the rows have two largest values"):
        assert_largest(torch.tensor([1, 0, 0, 1, 1]), values[[0, 1, 2, 4, 4]], 1e-3)
