"""Tree attention: one prompt answered under many conditions in the same passes.

The rows of all conditions stand after the prompt's keys in one pass, each condition's answer a
branch. A mask leaves each row the prompt and what its own branch has said; rows of refused guesses
are left to no one. Nothing of the prompt's cache is copied.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rh_lens.runtime.architecture import FwdHooks
from rh_lens.runtime.context import Context, prefill_attention
from rh_lens.runtime.generation import Asked, Generation, GenerationUnderWay
from rh_lens.runtime.inference import inference
from rh_lens.runtime.row_hooks import N_SAMPLE, OVER_KEYS, OwnRows, can_stand_beside, hooks_on_rows
from rh_lens.runtime.self_check import relative_error, tolerance
from rh_lens.runtime.strategy import EAGER_CHUNK, SDPA_CHUNK_CPU


@dataclass(eq=False)
class Branch:
    """A condition's answer under way, and where its rows stand.

    Args:
        answer: The answer.
        hooks: The condition's hooks, as if it were alone.
        columns: Positions in the cache of the tokens that it has said.
    """

    answer: GenerationUnderWay
    hooks: FwdHooks
    columns: list[int] = field(default_factory=list)


def can_share_passes(
    context: Context,
    conditions: Sequence[FwdHooks],
    sample: Int[Tensor, " pos"],
) -> bool:
    """Whether conditions may share their passes: see `can_stand_beside`.

    Last, it is tried out on the first tokens of a prompt, `sample`.
    """
    first = sample[:N_SAMPLE].tolist()
    return can_stand_beside(context, conditions, len(first)) and _masks_act(context, first)


def decode_branches(
    context: Context, tokens: Sequence[int], asked: Mapping[str, Asked]
) -> dict[str, Generation]:
    """The answers that `decode` gives to a prompt under each condition, alone.

    Rows are hooked as if each condition were alone. Without hooks at patterns, the passes take the
    attention that prompts are read with; in half precision, rounding may then decide between two
    tokens that are as good as equal.

    Args:
        context: Context to continue, for which `can_share_passes` holds; it has the prompt
            afterwards, without its last token.
        tokens: The prompt's token ids.
        asked: By name; none acts on the reading of the prompt.
    """
    n_before = len(tokens) - 1
    with inference(context.model):
        context.reach(tokens[:-1])
        branches = {name: Branch(one.answer, one.decode_hooks) for name, one in asked.items()}
        while under_way := [branch for branch in branches.values() if branch.answer.is_open()]:
            for part, own in _passes(under_way, _most_rows(context, under_way)):
                _run_pass(context, n_before, part, own)
        # The rows of all branches go; of what was read, the prompt alone is every condition's.
        context.truncate(n_before)
    return {name: branch.answer.result() for name, branch in branches.items()}


def _masks_act(context: Context, tokens: list[int]) -> bool:
    """Whether two continuations of some tokens read side by side like one after the other."""
    third = len(tokens) // 3
    before, one, other = tokens[:third], tokens[third : 2 * third], tokens[2 * third :]
    alone = Context(context.model, context.strategy)
    with inference(context.model):
        alone.reach(before)
        expected = []
        for part in (one, other):
            expected.append(alone.read(part))
            alone.truncate(third)
        rows = _Rows.of(third, third, [[], []], [one, other])
        try:
            found = rows.read(alone, [one, other])
        except (RuntimeError, TypeError, ValueError, IndexError):
            return False
    return relative_error(found, torch.cat(expected)) <= tolerance(found.dtype)


def _most_rows(context: Context, branches: Sequence[Branch]) -> int:
    """Rows of a pass: as many as a chunk of a prompt has that takes the same attention."""
    over_keys = any(
        str(name).endswith(OVER_KEYS) for branch in branches for name, _ in branch.hooks
    )
    fused = context.strategy.prefill.name == "sdpa" and not over_keys
    return SDPA_CHUNK_CPU if fused else EAGER_CHUNK


def _passes(
    branches: Sequence[Branch], n_rows: int
) -> Iterator[tuple[list[Branch], list[list[int]]]]:
    """Branches that pass together, with their tokens: as many as there are rows for."""
    part: list[Branch] = []
    tokens: list[list[int]] = []
    for branch in branches:
        own = branch.answer.next_tokens()
        if part and sum(map(len, tokens)) + len(own) > n_rows:
            yield part, tokens
            part, tokens = [], []
        part.append(branch)
        tokens.append(own)
    yield part, tokens


def _run_pass(
    context: Context, n_prompt: int, branches: Sequence[Branch], tokens: Sequence[list[int]]
) -> None:
    """Let the next tokens of some branches pass, and each go on by what the model says."""
    rows = _Rows.of(n_prompt, context.n_read, [branch.columns for branch in branches], tokens)
    own = [
        OwnRows(
            branch.hooks,
            positions=(slice(None), span),
            keys=(slice(None), slice(None), span, keys),
        )
        for branch, span, keys in zip(branches, rows.spans, rows.keys, strict=True)
    ]
    with (
        context.model.hooks(fwd_hooks=hooks_on_rows(own)),
        prefill_attention(context.model, context.strategy),
    ):
        predicted = rows.read(context, tokens).argmax(dim=-1).tolist()
    for branch, span, keys in zip(branches, rows.spans, rows.keys, strict=True):
        n_kept = branch.answer.take(predicted[span])
        n_own = span.stop - span.start
        branch.columns += keys[len(keys) - n_own :][:n_kept].tolist()


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a pass.

    Args:
        spans: Rows of each branch.
        keys: Places in the cache of all that each branch's last row sees, in order.
        visible: What each row sees.
        positions: Position of each row in its own answer's context.
    """

    spans: list[slice]
    keys: list[Int[Tensor, " _"]]
    visible: Bool[Tensor, "row key"]
    positions: list[int]

    @classmethod
    def of(
        cls,
        n_prompt: int,
        n_cached: int,
        columns: Sequence[list[int]],
        tokens: Sequence[list[int]],
    ) -> "_Rows":
        """Rows after a prompt, for branches whose earlier tokens stand in some columns."""
        n_rows = sum(map(len, tokens))
        visible = torch.zeros(n_rows, n_cached + n_rows, dtype=torch.bool)
        visible[:, :n_prompt] = True
        spans, keys, positions = [], [], []
        start = 0
        for earlier, own in zip(columns, tokens, strict=True):
            stop = start + len(own)
            visible[start:stop, earlier] = True
            lower = torch.ones(len(own), len(own), dtype=torch.bool).tril()
            visible[start:stop, n_cached + start : n_cached + stop] = lower
            spans.append(slice(start, stop))
            keys.append(visible[stop - 1].nonzero().flatten())
            positions += [n_prompt + len(earlier) + row for row in range(len(own))]
            start = stop
        return cls(spans, keys, visible, positions)

    def read(self, context: Context, tokens: Sequence[list[int]]) -> Float[Tensor, "row d_vocab"]:
        """Logits of the rows."""
        flat = [token for own in tokens for token in own]
        return context.read_masked(flat, self.visible, self.positions)
