"""Where chosen heads looked while a model answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int

from rh_lens.detection import AttentionSources
from rh_lens.heads import Head
from rh_lens.representation import short_repr

ACTIVITY_COLUMNS = (
    "condition",
    "trial",
    "step",
    "layer",
    "head",
    "source",
    "weight",
    "margin",
    "needle_mass",
    "sink_mass",
)
"""Columns of an activity table, one row a condition, trial, step and head.

`step` index of the generated token that the row predicted; `source` absolute position looked at;
`weight` attention on it; `margin` how much less the second one gets; `needle_mass` attention on the
needle's answer; `sink_mass` attention on the first token of the context.
"""


@dataclass(frozen=True, eq=False)
class HeadLooks:
    """Where some heads looked while one answer was said, step by step.

    Args:
        source: Absolute position with the largest weight.
        weight: Attention on it.
        margin: How much less the second one gets.
        needle_mass: Attention on the needle's answer.
        sink_mass: Attention on the first token of the context.
    """

    source: Int[np.ndarray, "step head"]
    weight: Float[np.ndarray, "step head"]
    margin: Float[np.ndarray, "step head"]
    needle_mass: Float[np.ndarray, "step head"]
    sink_mass: Float[np.ndarray, "step head"]

    __repr__ = short_repr

    @classmethod
    def of(cls, sources: AttentionSources, heads: Sequence[Head]) -> "HeadLooks":
        """Those of the recorded rows that predicted an answer.

        Args:
            sources: Recorded with a needle span.
            heads: Which heads; they belong to the model.

        Raises:
            ValueError: The sources were recorded without a needle span.
        """
        sources.require_needle_mass()
        place = torch.tensor([sources.layers.index(head.layer) for head in heads])
        index = torch.tensor([head.head for head in heads])
        names = [field.name for field in fields(cls)]
        return cls(**{name: getattr(sources, name)[:, place, index].numpy() for name in names})


def activity_table(
    looks: Mapping[tuple[str, int], HeadLooks], heads: Sequence[Head]
) -> pd.DataFrame:
    """Looks of several answers as one table, in their order, then that of the steps and the heads.

    Args:
        looks: By condition and trial.
        heads: The heads that they are of.

    Returns:
        Columns of `ACTIVITY_COLUMNS`.
    """
    n_steps = np.array([len(one.source) for one in looks.values()], dtype=np.int64)
    n_rows = n_steps * len(heads)
    names = pd.Series([name for name, _ in looks], dtype=str).array
    steps = np.concatenate([np.arange(n, dtype=np.int64) for n in n_steps])
    columns: dict[str, Any] = {
        "condition": names.take(np.repeat(np.arange(len(looks)), n_rows)),
        "trial": np.repeat(np.array([trial for _, trial in looks], dtype=np.int64), n_rows),
        "step": steps.repeat(len(heads)),
        "layer": np.tile([head.layer for head in heads], len(steps)),
        "head": np.tile([head.head for head in heads], len(steps)),
    }
    for field in fields(HeadLooks):
        rows = [getattr(one, field.name).ravel() for one in looks.values()]
        columns[field.name] = np.concatenate(rows)
    return pd.DataFrame(columns, columns=list(ACTIVITY_COLUMNS))
