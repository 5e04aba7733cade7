"""How loud and how focused every head is while an answer is said: what controls are matched by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions.editing import head_counts, require_heads, split_heads
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.representation import short_repr
from rh_lens.runtime import (
    Bridge,
    FwdHooks,
    inference,
    must_fire,
    open_context,
    plan_prompts,
    teacher_force,
)

TRAITS = ("norm", "entropy")
"""What `HeadTraits` holds of each head."""


@dataclass(frozen=True, eq=False)
class HeadTraits:
    r"""Means over the rows that predict answers; NaN in layers without attention.

    Args:
        norm: Length of what the head writes to the residual stream, $\lVert z W_O \rVert_2$.
        entropy: Of its attention, $-\sum_j a_j \ln a_j$ in nats.
        n_rows: Rows that they are means of.
    """

    norm: Float[Tensor, "layer head"]
    entropy: Float[Tensor, "layer head"]
    n_rows: int

    __repr__ = short_repr

    def mean(self, heads: HeadsLike) -> dict[str, float]:
        """Mean of each trait over some heads, by its name; NaN over none.

        Raises:
            TypeError: The heads are in none of the notations of `as_heads`.
            ValueError: A head is not the model's.
        """
        chosen = as_heads(heads)
        require_heads(chosen, dict.fromkeys(range(len(self.norm)), self.norm.shape[1]))
        places = [head.layer for head in chosen], [head.head for head in chosen]
        return {name: float(getattr(self, name)[places].mean()) for name in TRAITS}

    def to_dataframe(self) -> pd.DataFrame:
        """One row a head of a layer with attention: layer, head, label, norm, entropy."""
        return pd.DataFrame(
            [
                {"layer": layer, "head": head, "label": Head(layer, head).label}
                | {name: float(getattr(self, name)[layer, head]) for name in TRAITS}
                for layer, head in self.norm.isnan().logical_not().nonzero().tolist()
            ]
        )


def head_traits(model: Bridge, prompts: Sequence[NeedlePrompt]) -> HeadTraits:
    """Output norm and attention entropy of every head, at the rows that predict the answers.

    The needles' answers are fed to the model after their prompts. Hooks that the caller holds open
    act, and are seen.

    Args:
        model: A TransformerBridge.
        prompts: One or more; a few of the evaluation will do.

    Raises:
        RuntimeError: A layer computes no attention pattern, or the way of reading disagrees with
            the plain bridge.
        TypeError: `model` is not a TransformerBridge, or the prompts are no needle prompts.
        ValueError: There is no prompt, or one does not fit the model.

    Examples:
        >>> traits = head_traits(model, prompts[:2])
        >>> traits.norm[2].round(decimals=1)
        tensor([ 2.1000,  2.1000, 15.6000, 15.4000, 17.0000, 16.8000,  1.8000,  3.6000],
               dtype=torch.float64)
    """
    prompts = require_prompts(prompts)
    counts, n_layers = head_counts(model), int(model.cfg.n_layers)
    norms: dict[int, list[Tensor]] = {layer: [] for layer in counts}
    entropies: dict[int, list[Tensor]] = {layer: [] for layer in counts}

    def hear(z: Float[Tensor, "batch pos *head"], hook: Any) -> None:
        layer = hook.layer()
        norms[layer].append(_written(model, layer, split_heads(z, hook, counts[layer])[0]))

    def look(pattern: Float[Tensor, "batch head query key"], hook: Any) -> None:
        attention = pattern[0].float()
        entropies[hook.layer()].append(torch.special.entr(attention).sum(-1).T.cpu())

    hooks: list[tuple[str, Any]] = []
    for layer in counts:
        hooks += [
            (f"blocks.{layer}.attn.hook_z", hear),
            (f"blocks.{layer}.attn.hook_pattern", look),
        ]
    _feed_answers(model, prompts, hooks)
    n_rows = sum(len(rows) for rows in next(iter(norms.values())))
    return HeadTraits(_means(norms, n_layers), _means(entropies, n_layers), n_rows)


def _means(rows: Mapping[int, Sequence[Tensor]], n_layers: int) -> Float[Tensor, "layer head"]:
    means = {layer: torch.cat(tuple(parts)).double().mean(0) for layer, parts in rows.items()}
    width = max(len(mean) for mean in means.values())
    table = torch.full((n_layers, width), torch.nan, dtype=torch.float64)
    for layer, mean in means.items():
        table[layer, : len(mean)] = mean
    return table


def _written(
    model: Bridge, layer: int, z: Float[Tensor, "row head d_head"]
) -> Float[Tensor, "row head"]:
    """Length of what each head adds through the output projection, which has every head alone."""
    project = model.blocks[layer].attn.o.original_component
    n_rows, n_heads, width = z.shape
    alone = z.new_zeros(n_heads, n_rows, n_heads, width)
    index = torch.arange(n_heads, device=z.device)
    alone[index, :, index] = z.transpose(0, 1)
    bias = project(z.new_zeros(1, n_heads * width))
    return (project(alone.flatten(2)) - bias).float().norm(dim=-1).T.cpu()


def _feed_answers(model: Bridge, prompts: Sequence[NeedlePrompt], hooks: FwdHooks) -> None:
    n_tokens = [len(prompt.tokens) + len(prompt.answer_tokens) for prompt in prompts]
    with inference(model), must_fire(hooks) as watched:
        context = open_context(model, prompts[0].tokens, longest=max(n_tokens))
        share = context.strategy.truncates
        for step in plan_prompts([prompt.tokens for prompt in prompts], share=share).steps:
            prompt = prompts[step.prompt]
            teacher_force(
                model, prompt.tokens, prompt.answer_tokens, decode_hooks=watched, context=context
            )
