"""Detectors find the heads of a circuit that is written into a model's weights by hand."""

import pytest
import torch
from planted_circuit import DUPLICATE, IDLE, INDUCTION, PREVIOUS, SUPPRESSOR, planted_bridge

from rh_lens.circuits import (
    copy_suppression_heads,
    copying_heads,
    duplicate_token_heads,
    induction_heads,
    previous_token_heads,
    repeated_random_tokens,
)


@pytest.fixture(scope="module")
def planted(tiny_tokenizer):
    return planted_bridge(tiny_tokenizer)


def test_each_detector_finds_its_planted_heads_and_no_other(planted) -> None:
    repeated = repeated_random_tokens(planted, n_tokens=40, n_sequences=2)
    found = {
        previous_token_heads: {PREVIOUS},
        induction_heads: {INDUCTION, SUPPRESSOR},
        duplicate_token_heads: {DUPLICATE},
    }
    for detector, heads in found.items():
        scores = detector(planted, repeated)
        mean = scores.mean()
        assert set(scores.top(len(heads))) == heads
        # A duplicate-token head shares its attention with the row's own token.
        least = 0.4 if detector is duplicate_token_heads else 0.8
        assert min(float(mean[head.layer, head.head]) for head in heads) > least
        assert max(float(mean[head.layer, head.head]) for head in IDLE) < 0.1


def test_copier_and_suppressor_are_told_apart_by_their_sign(planted) -> None:
    texts = [torch.randint(2, 300, (60,), generator=torch.Generator().manual_seed(0))]
    up, down = copying_heads(planted, texts).mean(), copy_suppression_heads(planted, texts).mean()
    assert float(up[INDUCTION.layer, INDUCTION.head]) == 1.0
    assert float(up[SUPPRESSOR.layer, SUPPRESSOR.head]) == 0.0
    assert float(down[SUPPRESSOR.layer, SUPPRESSOR.head]) == 1.0
    assert float(down[INDUCTION.layer, INDUCTION.head]) == 0.0
