"""The two runs of a pair, and what one run's heads would say with the other's attention."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.circuits.pairs import PromptPair
from rh_lens.circuits.rerun import Outputs, Rerun, with_answer
from rh_lens.runtime import Bridge, Context, attention_layers, inference, open_context

Rows: TypeAlias = Literal["answer", "prompt"]
"""Rows in which heads are patched: those that predict the answer, or all that can differ."""
Part: TypeAlias = Literal["z", "pattern", "v"]
"""What of a head is patched: its output, where it looks, or what it moves."""
Into: TypeAlias = Literal["corrupted", "clean"]
"""The run that is patched, with what the other one has."""

# z is made of patterns and values in the model's precision; what agrees less is something else.
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8}


@dataclass(frozen=True, eq=False)
class Side:
    """One run of a pair, in the rows that are run again.

    Args:
        rerun: To run them again.
        logits: Of the rows that predict the clean answer.
        outputs: Every head's output in every row.
    """

    rerun: Rerun
    logits: Float[Tensor, "answer d_vocab"]
    outputs: Outputs


@dataclass(frozen=True, eq=False)
class PairRuns:
    """Both runs of a pair; the clean answer is fed to both.

    Args:
        pair: The pair.
        base: The run that is to be patched; its prefix is in the context.
        donor: The other one.
    """

    pair: PromptPair
    base: Side
    donor: Side

    def outputs(self, part: Part) -> Outputs:
        r"""Outputs to patch the base with: the donor's, or half of them.

        With attention $A$ and values $V$, "z" is $A_d V_d$ of the donor, "pattern" is $A_d V_b$
        (looks as the donor does, at the base's values) and "v" is $A_b V_d$.

        Raises:
            ValueError: The model's z is not attention times the values in its cache.
        """
        if part == "z":
            return self.donor.outputs
        looks, moves = (self.donor, self.base) if part == "pattern" else (self.base, self.donor)
        moved = values_of(moves.rerun)
        mixed, own = _mixed(looks.rerun, moved)
        for layer, z in own.items():
            _require_mix(layer, z, looks.outputs[layer])
        # The next run of the base begins with its prefix in the context.
        self.base.rerun.context.reach(self.base.rerun.tokens[: self.base.rerun.first])
        return mixed


@contextmanager
def pair_context(model: Bridge, pairs: Sequence[PromptPair]) -> Iterator[Context]:
    """Context for all runs of some pairs, without gradients; the model is left as it was.

    Raises:
        ModelInUseError: Another thread is using the model.
        TypeError: `model` is not a TransformerBridge.
        ValueError: The model has no attention or no KV cache, or a pair does not fit it.
    """
    with inference(model):
        longest = max(len(pair.corrupted) + len(pair.answer) for pair in pairs)
        yield open_context(model, pairs[0].clean.tokens, longest=longest)


def run_pair(context: Context, pair: PromptPair, rows: Rows, into: Into) -> PairRuns:
    """Both runs of a pair, each once.

    Args:
        context: From `pair_context`.
        pair: The pair.
        rows: "answer": the rows that predict the answer. "prompt": all from the first token on
            that differs between the two prompts; no earlier row can differ.
        into: Which run is to be patched.
    """
    n_answer, n_prompt = len(pair.answer), len(pair.corrupted)
    first = n_prompt - 1 if rows == "answer" else min(pair.differing[0], n_prompt - 1)
    prompts = {"clean": pair.clean.tokens, "corrupted": pair.corrupted}
    donor_name = "clean" if into == "corrupted" else "corrupted"

    def side(name: str) -> Side:
        tokens = with_answer(prompts[name], pair.answer)
        rerun = Rerun(context, tokens, first, n_answer)
        return Side(rerun, *rerun.outputs())

    donor = side(donor_name)
    return PairRuns(pair, base=side(into), donor=donor)


def values_of(rerun: Rerun) -> dict[int, Float[Tensor, "kv_head key d_head"]]:
    """Values of every layer at all positions of a run, from the KV cache.

    Raises:
        ValueError: The cache holds no values of some layer.
    """
    rerun.logits()
    layers = rerun.context.cache.layers
    found = {}
    for layer in attention_layers(rerun.model):
        values = getattr(layers[layer], "values", None)
        if values is None:
            raise ValueError(
                f"Expected values of layer {layer} in the KV cache; found "
                f"{type(layers[layer]).__name__}. Patch whole outputs with part='z'."
            )
        found[layer] = values[0].clone()
    return found


def _mixed(
    rerun: Rerun, moved: dict[int, Float[Tensor, "kv_head key d_head"]]
) -> tuple[Outputs, Outputs]:
    """Outputs with a run's attention and given values, and with its own values."""
    mixed: dict[int, list[Tensor]] = {layer: [] for layer in moved}
    own: dict[int, list[Tensor]] = {layer: [] for layer in moved}
    caches = rerun.context

    def mix(pattern: Float[Tensor, "1 head row key"], hook: Any) -> None:
        layer = hook.layer()
        mixed[layer].append(attend(pattern[0], moved[layer]))
        own[layer].append(attend(pattern[0], caches.cache.layers[layer].values[0]))

    rerun.logits([(f"blocks.{layer}.attn.hook_pattern", mix) for layer in moved])
    return (
        {layer: torch.cat(parts) for layer, parts in mixed.items()},
        {layer: torch.cat(parts) for layer, parts in own.items()},
    )


def attend(
    pattern: Float[Tensor, "head row key"], values: Float[Tensor, "kv_head position d_head"]
) -> Float[Tensor, "row head d_head"]:
    """Values weighted by attention; query heads of a group share a key-value head."""
    n_heads, n_rows, n_keys = pattern.shape
    if n_keys > values.shape[1] or n_heads % len(values):
        raise ValueError(
            f"Expected attention over the {values.shape[1]} positions and {len(values)} key-value "
            f"heads in the cache; found {n_heads} heads over {n_keys}. Patch whole outputs with "
            "part='z'."
        )
    grouped = pattern.reshape(len(values), -1, n_keys)
    z = grouped @ values[:, :n_keys].to(pattern)
    return z.reshape(n_heads, n_rows, -1).transpose(0, 1)


def _require_mix(
    layer: int, found: Float[Tensor, "row head d_head"], z: Float[Tensor, "row head d_head"]
) -> None:
    """Refuse a layer whose output is something else than attention times values."""
    most = _TOLERANCE.get(z.dtype, 0.05)
    if found.shape != z.shape or not (found - z).norm() <= most * z.norm():
        raise ValueError(
            f"Expected head outputs that are attention times cached values in layer {layer}; found "
            f"others. Patch whole outputs with part='z'."
        )
