"""Running the last rows of a prompt again and again, after a prefix that is read once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.heads import HeadsLike
from rh_lens.interventions.editing import HeadEdit, Hooks, edit_outputs, head_counts, split_heads
from rh_lens.runtime import Context, FwdHooks, must_fire

# Rows a pass: attention patterns of a pass take heads x rows x context numbers.
ROWS_A_PASS = 256

Outputs: TypeAlias = Mapping[int, Float[Tensor, "row head d_head"]]
"""Outputs z of all heads by layer, one for each row that is run again."""


class Rerun:
    """The rows from some position on, run again under hooks; the rows before are read once.

    Rows see all that is before them in the KV cache, so no square pattern arises: of h heads, a
    pass takes h x 256 x n numbers.

    Args:
        context: Where the prefix is kept; it may be shared by several.
        tokens: Prompt and answer without its last token.
        first: Position of the first row to run again.
        n_answer: How many of the last rows predict the answer.
        prefix_hooks: Forward hooks for the reading of the rows before.
    """

    def __init__(
        self,
        context: Context,
        tokens: Int[Tensor, " pos"],
        first: int,
        n_answer: int,
        prefix_hooks: FwdHooks = (),
    ) -> None:
        self.prefix_hooks = list(prefix_hooks)
        self.context, self.first, self.n_answer = context, first, n_answer
        self.model = context.model
        self.tokens: list[int] = tokens.tolist()
        # Where the RoPE depends on the length, a row has its own frequencies: one a pass.
        strategy = context.strategy
        alone = strategy.cache.plain and not strategy.truncates
        self.n_rows_a_pass = 1 if alone else ROWS_A_PASS

    @property
    def n_rows(self) -> int:
        """Rows that are run again."""
        return len(self.tokens) - self.first

    def logits(self, hooks: FwdHooks = ()) -> Float[Tensor, "answer d_vocab"]:
        """Logits of the rows that predict the answer.

        Raises:
            RuntimeError: A hook was never called.
        """
        self.context.reach(self.tokens[: self.first], self.prefix_hooks)
        kept: list[Tensor] = []
        with must_fire(hooks) as watched, self.model.hooks(fwd_hooks=list(watched)):
            for start in range(self.first, len(self.tokens), self.n_rows_a_pass):
                part = self.tokens[start : start + self.n_rows_a_pass]
                n_before = len(self.tokens) - self.n_answer - start
                kept.append(self.context.read(part)[max(n_before, 0) :])
        return torch.cat(kept)

    def outputs(self, hooks: FwdHooks = ()) -> tuple[Float[Tensor, "answer d_vocab"], Outputs]:
        """The same logits, and every head's output z in every row, as the hooks leave it."""
        counts = head_counts(self.model)
        kept: dict[int, list[Tensor]] = {layer: [] for layer in counts}

        def keep(z: Tensor, hook: Any) -> None:
            layer = hook.layer()
            kept[layer].append(split_heads(z.detach(), hook, counts[layer])[0].clone())

        listening = [(f"blocks.{layer}.attn.hook_z", keep) for layer in counts]
        logits = self.logits([*hooks, *listening])
        return logits, {layer: torch.cat(parts) for layer, parts in kept.items()}

    def captured(self, names: Sequence[str], hooks: FwdHooks = ()) -> dict[str, Tensor]:
        """What passes hook points in the rows that are run again, by name."""
        kept: dict[str, list[Tensor]] = {name: [] for name in names}

        def keeping(name: str) -> Callable[..., None]:
            def keep(tensor: Tensor, hook: Any) -> None:
                kept[name].append(tensor.detach()[0].clone())

            return keep

        self.logits([*hooks, *((name, keeping(name)) for name in names)])
        return {name: torch.cat(parts) for name, parts in kept.items()}

    def put(self, name: str, rows: Tensor) -> Hooks:
        """Hook that puts rows in place of what passes a hook point."""

        def replace(tensor: Tensor, hook: Any) -> Tensor:
            return rows[self.rows_of(tensor.shape[1])][None].to(tensor)

        return [(name, replace)]

    def added(self, name: str, rows: Tensor) -> Hooks:
        """Hook that adds rows to what passes a hook point."""

        def add(tensor: Tensor, hook: Any) -> Tensor:
            return tensor + rows[self.rows_of(tensor.shape[1])].to(tensor)

        return [(name, add)]

    def replaced(self, heads: HeadsLike, donor: Outputs) -> Hooks:
        """Hooks that give heads the outputs of a donor, row by row; rows it lacks stay."""

        def edit_of(layer: int, indices: list[int]) -> HeadEdit:
            donated = donor[layer][:, indices]

            def replace(z: Float[Tensor, "1 row head d_head"]) -> Tensor:
                rows = donated[self.rows_of(z.shape[1])].to(z)
                return torch.cat([rows[None], z[:, len(rows) :]], dim=1)

            return replace

        return edit_outputs(heads, edit_of, head_counts(self.model))

    def rows_of(self, n_rows: int) -> slice:
        """Which of the rows run again the pass under way has."""
        start = self.context.n_read - self.first
        return slice(start, start + n_rows)


def with_answer(
    prompt: Int[Tensor, " prompt"], answer: Int[Tensor, " answer"]
) -> Int[Tensor, " pos"]:
    """A prompt's tokens and an answer's without its last: the rows that predict it are the last."""
    return torch.cat([prompt, answer[:-1].to(prompt)])
