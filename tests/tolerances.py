"""How far apart two floating-point computations of the same numbers may lie.

Rounding depends on the processor: the order of a sum follows the width of its vector registers,
the library and the number of threads. So a tolerance is computed here from the arithmetic, and
never tuned to what one machine gave.

A sum of n products, taken in another order, differs by eps * sqrt(n) times the sum of their
magnitudes or less (Higham and Mary 2019; at the very worst by eps * n). A token passes six such
sums in a layer (query and key, scores, mix of values, output, MLP up, MLP down), and their errors
add up along the layers. What normalisation and softmax amplify is covered by `MARGIN`.
"""

from typing import Any

import torch
from torch import Tensor

# Allowed over expected: what was seen on x86 with AVX2, AVX-512 and neither is a tenth or less.
MARGIN = 10
SUMS_PER_LAYER = 6
# Attention scores of the sharpened tiny models are about this large (standard deviation).
SCORE_SIZE = 10
# A comparison of maxima that leaves out more rows than this compares too little.
MOST_LEFT_OUT = 1 / 3


def rounding(n_terms: int, n_sums: int = 1, dtype: torch.dtype = torch.float32) -> float:
    """Relative difference allowed after `n_sums` sums in a row, of `n_terms` terms each."""
    return float(MARGIN * torch.finfo(dtype).eps * n_terms**0.5 * n_sums)


def double_rounding(n_terms: int, n_sums: int = 1) -> float:
    """The same in double precision."""
    return rounding(n_terms, n_sums, torch.float64)


def model_rounding(bridge: Any, n_tokens: int) -> float:
    """Relative difference allowed in logits, keys, values and head outputs, from width and depth.

    The longest sum runs over the residual stream, the MLP or the tokens. A layer without attention
    carries a state from token to token: one more sum in a row for each of them.
    """
    cfg = bridge.cfg
    width = max(cfg.d_model, cfg.d_mlp or 0, n_tokens)
    n_stateful = cfg.n_layers - len(bridge.blocks_with("attn"))
    n_sums = SUMS_PER_LAYER * cfg.n_layers + n_tokens * n_stateful
    return rounding(width, n_sums, cfg.dtype)


def weight_rounding(bridge: Any, n_tokens: int) -> float:
    """Absolute difference allowed in attention weights.

    Scores are off by their size times `model_rounding`, and a weight by at most half of that:
    softmax changes by w (1 - w) <= 1/4 times the difference between two scores' errors.
    """
    return SCORE_SIZE / 2 * model_rounding(bridge, n_tokens)


def assert_close(found: Tensor, expected: Tensor, relative: float) -> None:
    """No value differs by more than so much of the largest expected one."""
    allowed = relative * float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=allowed, check_dtype=False)


def assert_differs(found: Tensor, other: Tensor, relative: float) -> None:
    """Some value differs by more than rounding could explain."""
    assert (found - other).abs().max() > 2 * relative * other.abs().max()


def assert_largest(found: Tensor, values: Tensor, tolerance: float) -> None:
    """Positions found are where `values` are largest along the last axis, up to a tolerance.

    Where the largest value leads by more than the tolerance, that is the very position; two of
    three rows have to be so clear, or the comparison would say little.
    """
    best, second = values.topk(2, dim=-1).values.unbind(dim=-1)
    assert found.shape == best.shape
    there = values.gather(-1, found[..., None])[..., 0]
    assert (there >= best - tolerance).all(), f"lower by {float((best - there).max()):.2e}"
    unclear = (best - second <= tolerance).float().mean()
    assert unclear <= MOST_LEFT_OUT, f"{unclear:.0%} of the rows have two largest values"


def assert_same_sources(found: Any, expected: Any, tolerance: float) -> None:
    """Two recordings looked at the same keys wherever one key leads by more than the tolerance.

    A margin of exactly 0 is planted (equal scores), and such a row has the same first key too.
    """
    clear = (expected.margin > tolerance) | (expected.margin == 0)
    assert clear.float().mean() >= 1 - MOST_LEFT_OUT
    assert torch.equal(found.source[clear], expected.source[clear])
