"""A detector that reads attention rows: one kernel, sequences in, scores out."""

from collections.abc import Sequence

import torch

from rh_lens.circuits.attention_rows import RowKernel, row_means
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.runtime import Bridge
from rh_lens.runtime.tokens import TokensLike


def scan(
    model: Bridge, sequences: Sequence[TokensLike], name: str, kernel: RowKernel
) -> HeadScores:
    """Mean of a kernel over the rows of each sequence; of several features, the largest mean.

    Raises:
        TypeError: `model` is not a TransformerBridge, or there is no list of sequences.
        ValueError: No row of any sequence counts, or as for `row_means`.
    """
    values = row_means(model, sequences, {name: kernel})[name]
    if values.ndim == 4:
        values = values.amax(dim=-1)
    if torch.isnan(values).all():
        raise ValueError(
            f"Expected sequences with a row that tells {name} heads; found none in "
            f"{len(values)}. Use longer ones, or for matching heads ones that repeat themselves: "
            "repeated_random_tokens(model)."
        )
    return HeadScores(values, name, tuple(f"sequence {place}" for place in range(len(values))))
