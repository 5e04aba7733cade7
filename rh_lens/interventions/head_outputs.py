"""What heads say, at `hook_z`: collected from prompts, to be put in place of what they say."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import (
    require_choice,
    require_list,
    require_seed,
    require_type,
    require_whole_number,
    shown,
)
from rh_lens.heads import Head
from rh_lens.interventions.editing import head_counts, split_heads
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.representation import short_repr
from rh_lens.runtime import (
    Bridge,
    Context,
    FwdHooks,
    inference,
    must_fire,
    open_context,
    plan_prompts,
    teacher_force,
)

RowKind: TypeAlias = Literal["answer", "prompt"]
"""Which rows of a prompt: those that predict the answer, or all."""


@dataclass(frozen=True, eq=False)
class HeadOutputs:
    """Outputs z of all heads of some layers, before the output projection; on the CPU.

    Args:
        values: Outputs by layer; every layer has the same rows.
        kind: "answer": rows that predict an answer's tokens. "prompt": rows of a prompt.
        n_averaged: Rows that each row here is the mean of; 1 for a prompt's own rows.
        prompts: SHA-256 of the prompts they come from.

    Raises:
        ValueError: There are no layers or no rows, or layers differ in their number of rows.
    """

    values: Mapping[int, Float[Tensor, "row head d_head"]]
    kind: RowKind
    n_averaged: int
    prompts: tuple[str, ...]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        n_rows = {layer: len(rows) for layer, rows in self.values.items()}
        if len(set(n_rows.values())) != 1 or 0 in n_rows.values():
            raise ValueError(
                f"Expected layers with the same rows, at least one; found {n_rows} "
                "(layer: rows). Collect them with head_outputs or mean_head_outputs."
            )

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.values.values())))

    def take(self, rows: Sequence[int]) -> "HeadOutputs":
        """Some of the rows, in the order given.

        Raises:
            TypeError: An argument is of another type.
            ValueError: There is no row, or one is out of range.
        """
        for row in require_list("rows", rows, int, at_least=1):
            require_whole_number("rows", row, at_least=0, at_most=self.n_rows - 1)
        return replace(self, values={layer: z[list(rows)] for layer, z in self.values.items()})

    def draw(self, seed: int) -> "HeadOutputs":
        """One row, drawn at random: the same for all layers and heads.

        Raises:
            TypeError: An argument is of another type.
            ValueError: The seed is out of range.
        """
        require_seed("seed", seed)
        generator = torch.Generator().manual_seed(seed)
        return self.take([int(torch.randint(self.n_rows, (1,), generator=generator))])

    def mean(self) -> "HeadOutputs":
        """One row: the mean of all, taken in fp64."""
        return replace(
            self,
            values={
                layer: z.double().mean(dim=0, keepdim=True) for layer, z in self.values.items()
            },
            n_averaged=self.n_averaged * self.n_rows,
        )

    def to_dataframe(self) -> pd.DataFrame:
        """One row a layer and head: layer, head, label, and norm, the mean length of its rows."""
        return pd.DataFrame(
            [
                {"layer": layer, "head": head, "label": Head(layer, head).label, "norm": norm}
                for layer, z in self.values.items()
                for head, norm in enumerate(z.double().norm(dim=-1).mean(dim=0).tolist())
            ]
        )


def head_outputs(
    model: Bridge,
    prompt: NeedlePrompt,
    *,
    rows: RowKind = "answer",
    layers: Iterable[int] | None = None,
) -> HeadOutputs:
    """Outputs of all heads on one prompt, row by row.

    Hooks that the caller holds open act, and are seen. The outputs of a whole prompt take
    n_tokens x n_heads x d_head numbers a layer: name the layers you need.

    Args:
        model: A TransformerBridge.
        prompt: The prompt.
        rows: "answer": the rows that predict the needle's answer, which is fed to the model after
            the prompt. "prompt": the prompt's own, one a token.
        layers: Which ones; None takes all that have attention.

    Raises:
        RuntimeError: The way of reading disagrees with the plain bridge.
        TypeError: `model` is not a TransformerBridge.
        ValueError: `rows` is unknown, a layer has no attention, or the prompt does not fit the
            model.

    Examples:
        >>> outputs = head_outputs(model, prompt, layers=[2])
        >>> outputs.n_rows, outputs.draw(seed=0).n_rows
        (5, 1)
    """
    require_type("prompt", prompt, NeedlePrompt, remedy="Make one with build_prompt.")
    require_row_kind(rows)
    counts = _counts(model, layers)
    kept: dict[int, list[Tensor]] = {layer: [] for layer in counts}

    def keep(layer: int, z: Float[Tensor, "row head d_head"]) -> None:
        kept[layer].append(z.cpu())

    _listen(model, [prompt], rows, counts, keep)
    values = {layer: torch.cat(parts) for layer, parts in kept.items()}
    return HeadOutputs(values, rows, 1, (prompt.sha256,))


def mean_head_outputs(
    model: Bridge, prompts: Sequence[NeedlePrompt], *, rows: RowKind = "answer"
) -> HeadOutputs:
    """Mean outputs of all heads over the rows of a reference set, one row in fp64.

    Every row counts once, so that a longer prompt or answer counts more. Only sums are kept. Hooks
    that the caller holds open act, and are seen.

    Take needles that the evaluation does not ask for: an answer that is part of its own reference
    set is given away. On the bundled model, means over 2 needles let 2 of 4 prompts with these
    needles be answered, means over 4 others none.

    Args:
        model: A TransformerBridge.
        prompts: The reference set.
        rows: "answer": the rows that predict the needle's answer, which is fed to the model after
            each prompt. "prompt": all rows of the prompts; each is read anew from its first token.

    Raises:
        RuntimeError: The way of reading disagrees with the plain bridge.
        TypeError: `model` is not a TransformerBridge.
        ValueError: There are no prompts, `rows` is unknown, or a prompt does not fit the model.

    Examples:
        >>> mean_head_outputs(model, new_prompts).n_averaged
        38
    """
    require_row_kind(rows)
    prompts = require_prompts(prompts)
    counts = _counts(model, None)
    sums: dict[int, Tensor] = {}
    n_rows = dict.fromkeys(counts, 0)

    def add(layer: int, z: Float[Tensor, "row head d_head"]) -> None:
        # Apple's accelerators have no fp64.
        exact = torch.float32 if z.device.type == "mps" else torch.float64
        total = z.sum(dim=0, dtype=exact).double().cpu()
        sums[layer] = sums[layer] + total if layer in sums else total
        n_rows[layer] += len(z)

    _listen(model, prompts, rows, counts, add)
    values = {layer: (total / n_rows[layer])[None] for layer, total in sums.items()}
    (n_averaged,) = set(n_rows.values())
    return HeadOutputs(values, rows, n_averaged, tuple(prompt.sha256 for prompt in prompts))


def require_row_kind(rows: str) -> None:
    """Refuse a kind of rows that there is not.

    Raises:
        ValueError: The name is unknown.
    """
    require_choice("rows", rows, get_args(RowKind))


def _counts(model: Bridge, layers: Iterable[int] | None) -> dict[int, int]:
    """Heads in each of the layers."""
    counts = head_counts(model)
    if layers is None:
        return counts
    remedy = "Leave layers=None for all."
    wanted = sorted(set(require_list("layers", layers, int, remedy=remedy)))
    if not wanted or not set(wanted) <= set(counts):
        raise ValueError(
            f"Expected layers out of {list(counts)}, which have attention; found "
            f"{shown(wanted)}. {remedy}"
        )
    return {layer: counts[layer] for layer in wanted}


def _listen(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    rows: RowKind,
    counts: Mapping[int, int],
    receive: Callable[[int, Tensor], None],
) -> None:
    """Run prompts and pass on the outputs of each pass, layer by layer."""
    hooks = [
        (f"blocks.{layer}.attn.hook_z", _hearing(layer, n, receive)) for layer, n in counts.items()
    ]
    n_tokens = [len(p.tokens) + len(p.answer_tokens) for p in prompts]
    with inference(model), must_fire(hooks) as watched:
        context = open_context(model, prompts[0].tokens, longest=max(n_tokens))
        # A prompt's own rows must all be read; those of answers may follow a shared prefix.
        share = rows == "answer" and context.strategy.truncates
        for step in plan_prompts([prompt.tokens for prompt in prompts], share=share).steps:
            _read(
                prompts[step.prompt],
                rows,
                watched,
                context if share else Context(model, context.strategy),
            )


def _read(prompt: NeedlePrompt, rows: RowKind, hooks: FwdHooks, context: Context) -> None:
    """One prompt, with the hooks on for the wanted rows."""
    if rows == "prompt":
        context.reach(prompt.tokens, hooks)
        return
    teacher_force(
        context.model, prompt.tokens, prompt.answer_tokens, decode_hooks=hooks, context=context
    )


def _hearing(
    layer: int, n_heads: int, receive: Callable[[int, Tensor], None]
) -> Callable[..., None]:
    def hear(z: Float[Tensor, "batch pos *head"], hook: Any) -> None:
        receive(layer, split_heads(z.detach(), hook, n_heads)[0])

    return hear
