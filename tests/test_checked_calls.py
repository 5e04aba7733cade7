"""Types are checked while it matters: in the first calls."""

import pytest
import torch
from checked_calls import N_CALLS, N_CLOSURES, first_calls
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor


@jaxtyped(typechecker=first_calls)
def transposed(matrix: Float[Tensor, "row column"]) -> Float[Tensor, "column row"]:
    return matrix.T if matrix[0, 0] >= 0 else matrix


def test_arguments_and_results_are_checked_in_the_first_calls_only():
    right, wrong = torch.ones(2, 3), -torch.ones(2, 3)
    with pytest.raises(TypeCheckError, match="row column"):
        transposed(right[0])
    with pytest.raises(TypeCheckError, match="return value"):
        transposed(wrong)
    for _ in range(N_CALLS):
        transposed(right)
    assert transposed(wrong) is wrong


def test_functions_in_functions_are_compiled_a_few_times():
    def made():
        @jaxtyped(typechecker=first_calls)
        def half(n: int) -> float:
            return n / 2

        return half

    for _ in range(N_CLOSURES):
        with pytest.raises(TypeCheckError):
            made()("x")
    assert made()(3.0) == 1.5
