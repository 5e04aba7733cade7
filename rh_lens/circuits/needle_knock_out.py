"""Cutting heads off from the needle while the answer is said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_choice
from rh_lens.circuits.metrics import answer_log_probability
from rh_lens.circuits.patching import require_sets
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions import knock_out_edges
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.representation import short_repr
from rh_lens.runtime import Bridge, FwdHooks, inference, open_context, teacher_force

CutSpan: TypeAlias = Literal["answer", "needle"]
"""What heads no longer see: the answer's tokens, or all of the needle's."""


@dataclass(frozen=True, eq=False)
class KnockOut:
    """Log-probabilities of answers, in nats, with sets of heads cut off from the needle.

    Args:
        sets: Name of each set, and its heads.
        values: With the set cut off.
        untouched: Without.
        span: What they no longer see.
    """

    sets: Mapping[str, tuple[Head, ...]]
    values: Float[Tensor, "prompt set"]
    untouched: Float[Tensor, " prompt"]
    span: CutSpan

    __repr__ = short_repr

    @property
    def effect(self) -> Float[Tensor, "prompt set"]:
        """How much each cut changes the log-probability."""
        return self.values - self.untouched[:, None]

    def to_dataframe(self) -> pd.DataFrame:
        """One row a set: name, n_heads, log_prob, effect (means over prompts), span."""
        return pd.DataFrame(
            {
                "name": list(self.sets),
                "n_heads": [len(heads) for heads in self.sets.values()],
                "log_prob": self.values.mean(dim=0).tolist(),
                "effect": self.effect.mean(dim=0).tolist(),
                "span": self.span,
            }
        )


def knock_out_needle(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    sets: Mapping[str, HeadsLike],
    *,
    span: CutSpan = "answer",
) -> KnockOut:
    """What becomes of the answer when heads can't see the needle while it is said.

    `knock_out_edges` in the rows that predict the answer, which is fed. Unlike silencing, a head
    cut off still looks elsewhere and writes: what is lost is what it read in the needle.

    Args:
        model: A TransformerBridge.
        prompts: The prompts.
        sets: Heads to cut off together, by name, in any notation of `as_heads`.
        span: "answer" or "needle".

    Raises:
        RuntimeError: The way of reading disagrees with the plain bridge.
        TypeError: An argument is of another type.
        ValueError: There are no prompts or sets, the model has no such head, or edits of attention
            have no effect in it.

    Examples:
        >>> sets = {"retrieval": heads, "others": ["L2H0", "L2H1"]}
        >>> found = knock_out_needle(model, new_prompts, sets)
        >>> found.to_dataframe()
                name  n_heads    log_prob      effect    span
        0  retrieval        4 -117.084681 -116.994768  answer
        1     others        2   -0.089983   -0.000070  answer
    """
    prompts = require_prompts(prompts)
    require_choice("span", span, get_args(CutSpan))
    chosen = {name: as_heads(heads) for name, heads in require_sets(sets).items()}
    rows = []
    longest = max(len(prompt.tokens) + len(prompt.answer_tokens) for prompt in prompts)
    with inference(model):
        context = open_context(model, prompts[0].tokens, longest=longest)
        for prompt in prompts:
            keys = prompt.answer_span if span == "answer" else prompt.needle_span
            cuts: list[FwdHooks] = [
                knock_out_edges(model, heads, keys, keeps_all_keys=True)
                for heads in chosen.values()
            ]
            logits = [
                teacher_force(
                    model, prompt.tokens, prompt.answer_tokens, decode_hooks=cut, context=context
                )
                for cut in [[], *cuts]
            ]
            rows.append([float(answer_log_probability(a, prompt.answer_tokens)) for a in logits])
    table = torch.tensor(rows, dtype=torch.float64)
    return KnockOut(chosen, table[:, 1:], table[:, 0], span)
