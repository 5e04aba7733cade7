"""Where chosen heads looked while a model answered, as a table."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from rh_lens.detection import AttentionSources
from rh_lens.heads import Head
from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime import Bridge, attention_layers

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


def activity_rows(
    condition: str, trial: int, sources: AttentionSources, heads: Sequence[Head]
) -> pd.DataFrame:
    """Recorded rows of some heads, in the order step, head.

    Args:
        condition: Goes into every row.
        trial: Goes into every row.
        sources: The rows that predicted an answer, recorded with a needle span.
        heads: Which heads; they belong to the model.

    Returns:
        Columns of `ACTIVITY_COLUMNS`.

    Raises:
        ValueError: The sources were recorded without a needle span.
    """
    place = torch.tensor([sources.layers.index(head.layer) for head in heads])
    index = torch.tensor([head.head for head in heads])
    n_steps = sources.n_steps
    values = {
        "source": sources.source,
        "weight": sources.weight,
        "margin": sources.margin,
        "needle_mass": sources.require_needle_mass(),
        "sink_mass": sources.sink_mass,
    }
    return pd.DataFrame(
        {
            "condition": [condition] * (n_steps * len(heads)),
            "trial": trial,
            "step": torch.arange(n_steps).repeat_interleave(len(heads)).numpy(),
            "layer": [head.layer for head in heads] * n_steps,
            "head": [head.head for head in heads] * n_steps,
            **{name: rows[:, place, index].flatten().numpy() for name, rows in values.items()},
        },
        columns=list(ACTIVITY_COLUMNS),
    )


def looked_at(
    activity: pd.DataFrame,
    tokens: Mapping[tuple[str, int], Int[Tensor, "_"]],
    prompts: Sequence[NeedlePrompt],
) -> pd.DataFrame:
    """What the recorded heads looked at, over all steps and heads of each answer.

    Args:
        activity: Columns `ACTIVITY_COLUMNS`.
        tokens: Generated token ids by condition and trial.
        prompts: The prompts, by trial.

    Returns:
        One row a condition and trial with at least one step: `condition`, `trial`,
        `active_on_needle` (share of rows whose source is in the needle's answer),
        `active_elsewhere` (share whose source is in the prompt but not in the answer, and holds the
        very token said) and `sink_mass` (mean attention on the first token).
    """
    places = activity.groupby(["condition", "trial"], sort=False).indices
    rows = []
    for (condition, trial), generated in tokens.items():
        if not len(generated):
            continue
        group = activity.iloc[places[condition, trial]]
        prompt, said = prompts[trial], generated.numpy()
        source, step = group["source"].to_numpy(), group["step"].to_numpy()
        on_answer = (source >= prompt.answer_span[0]) & (source < prompt.answer_span[1])
        # Behind the prompt come the tokens said before.
        context = np.concatenate([prompt.tokens.numpy(), said])
        on_said = (source < len(prompt.tokens)) & (context[source] == said[step])
        rows.append(
            {
                "condition": condition,
                "trial": trial,
                "active_on_needle": on_answer.mean(),
                "active_elsewhere": (on_said & ~on_answer).mean(),
                "sink_mass": group["sink_mass"].mean(),
            }
        )
    columns = ["condition", "trial", "active_on_needle", "active_elsewhere", "sink_mass"]
    return pd.DataFrame(rows, columns=columns)


def require_heads(model: Bridge, heads: Sequence[Head]) -> None:
    """Refuse heads that the model lacks.

    Raises:
        ValueError: A layer has no attention, or has fewer heads.
    """
    layers, n_heads = attention_layers(model), int(model.cfg.n_heads)
    missing = [h.label for h in heads if h.layer not in layers or h.head >= n_heads]
    if missing:
        raise ValueError(
            f"Expected heads of the model: indices below {n_heads} in layers "
            f"{layers[0]} to {layers[-1]} with attention; found {missing[:5]}. Check that the "
            "heads belong to this model."
        )
