"""Tree attention: one context, many answers in the same passes.

The rows of all answers stand after the context's keys in one pass, each answer a branch: those of a
prompt under several conditions, and those of several prompts with the same context, each with its
question before it. A mask leaves each row the context, its own question and what its own branch has
said; rows of refused guesses are left to no one. Nothing of the context's cache is copied.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rh_lens.runtime.architecture import FwdHooks, input_device
from rh_lens.runtime.context import Context, prefill_attention, shared_prefix
from rh_lens.runtime.generation import Asked, Generation, GenerationUnderWay
from rh_lens.runtime.inference import inference
from rh_lens.runtime.pass_memory import (
    handing_back,
    most_eager_rows,
    pattern_bytes,
)
from rh_lens.runtime.row_hooks import (
    N_SAMPLE,
    OVER_KEYS,
    OwnRows,
    beside_obstacle,
    can_stand_beside,
    hooks_on_rows,
)
from rh_lens.runtime.self_check import relative_error, tolerance
from rh_lens.runtime.strategy import SDPA_CHUNK_CPU

_Name = TypeVar("_Name", bound=Hashable)
_NO_KEYS = torch.empty(0, dtype=torch.long)


@dataclass(eq=False)
class Branch:
    """An answer under way, and where its rows stand.

    Args:
        answer: The answer.
        hooks: The condition's hooks, as if it were alone.
        columns: Positions in the cache of its question's tokens and of those that it has said.
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


def questions_obstacle(
    context: Context, conditions: Sequence[FwdHooks], sample: Int[Tensor, " pos"]
) -> str:
    """Why questions about one context may not share their passes; empty where they may.

    Args:
        context: How prompts are read.
        conditions: Hooks of each condition that they are asked under.
        sample: A prompt, on whose first tokens it is tried out.
    """
    first = sample[:N_SAMPLE].tolist()
    obstacle = beside_obstacle(context, conditions, len(first))
    if obstacle or _questions_act(context, first):
        return obstacle
    return "a try on a few tokens gave other logits than one question after the other"


def decode_branches(
    context: Context, tokens: Sequence[int], asked: Mapping[_Name, Asked]
) -> dict[_Name, Generation]:
    """The answers that `decode` gives to a prompt under each condition, alone: see `decode_turn`.

    Args:
        context: Context to continue, for which `can_share_passes` holds; it has the prompt
            afterwards, without its last token.
        tokens: The prompt's token ids.
        asked: By name; none acts on the reading of the prompt.
    """
    return decode_turn(context, [tokens], [asked])[0]


def decode_turn(
    context: Context, prompts: Sequence[Sequence[int]], asked: Sequence[Mapping[_Name, Asked]]
) -> list[dict[_Name, Generation]]:
    """The answers that `decode` gives to each of some prompts under each condition, alone.

    What the prompts have in common is read once, then the rest of all of them in the same passes,
    but for their last tokens; these and the answers pass together. Rows are hooked as if each
    prompt and condition were alone. Without hooks at patterns, the passes take the attention that
    prompts are read with; in half precision, rounding may then decide between two tokens that are
    as good as equal.

    Args:
        context: Context to continue; of several prompts, `questions_obstacle` finds none. It has
            what the prompts have in common afterwards.
        prompts: Token ids.
        asked: For each prompt, by name; none acts on the reading of the prompt.
    """
    n_common = min(len(prompt) - 1 for prompt in prompts)
    for prompt in prompts[1:]:
        n_common = min(n_common, shared_prefix(prompts[0], prompt))
    with inference(context.model):
        context.reach(prompts[0][:n_common])
        questions = [list(prompt[n_common:-1]) for prompt in prompts]
        columns = _read_questions(context, n_common, questions)
        branches = [
            {name: Branch(one.answer, one.decode_hooks, list(own)) for name, one in of.items()}
            for of, own in zip(asked, columns, strict=True)
        ]
        every = [branch for of in branches for branch in of.values()]
        while under_way := [branch for branch in every if branch.answer.is_open()]:
            for part, own in _passes(under_way, _most_rows(context, under_way)):
                _run_pass(context, n_common, part, own)
            if len(prompts) > 1:
                _drop_refused(context, n_common, every)
        # The rows of all branches go; of what was read, the context alone is everybody's.
        context.truncate(n_common)
    return [{name: branch.answer.result() for name, branch in of.items()} for of in branches]


def _drop_refused(context: Context, n_common: int, branches: Sequence[Branch]) -> None:
    """Let go of rows that no answer under way sees, where there are more of them than others."""
    under_way = [branch for branch in branches if branch.answer.is_open()]
    kept = sorted({column for branch in under_way for column in branch.columns})
    if context.n_read - n_common <= 2 * len(kept):
        return
    context.keep(n_common, kept)
    moved = {column: n_common + place for place, column in enumerate(kept)}
    for branch in under_way:
        branch.columns = [moved[column] for column in branch.columns]


def _read_questions(
    context: Context, n_common: int, questions: Sequence[list[int]]
) -> list[list[int]]:
    """Columns of the tokens of questions, after they were read for their keys and values."""
    columns: list[list[int]] = []
    for part in _parts(questions, SDPA_CHUNK_CPU):
        rows = _Rows.of(n_common, context.n_read, [[] for _ in part], part)
        start = context.n_read
        columns += [list(range(start + span.start, start + span.stop)) for span in rows.spans]
        if flat := [token for own in part for token in own]:
            context.fill_masked(flat, rows.visible, rows.positions)
    return columns


def _parts(questions: Sequence[list[int]], n_rows: int) -> Iterator[list[list[int]]]:
    """Questions that are read in one pass: as many as there are rows for."""
    part: list[list[int]] = []
    for question in questions:
        if part and sum(map(len, part)) + len(question) > n_rows:
            yield part
            part = []
        part.append(question)
    yield part


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


def _questions_act(context: Context, tokens: list[int]) -> bool:
    """Whether two questions that are read and continued side by side give their own logits."""
    third = len(tokens) // 3
    before, parts = tokens[:third], (tokens[third : 2 * third], tokens[2 * third :])
    alone = Context(context.model, context.strategy)
    with inference(context.model):
        expected = []
        for part in parts:
            alone.reach([*before, *part[:-2]])
            expected.append(alone.read(part[-2:]))
        alone.reach(before)
        last = [part[-2:] for part in parts]
        try:
            columns = _read_questions(alone, third, [part[:-2] for part in parts])
            rows = _Rows.of(third, alone.n_read, columns, last)
            with prefill_attention(alone.model, alone.strategy):
                found = rows.read(alone, last)
        except (RuntimeError, TypeError, ValueError, IndexError):
            return False
    return relative_error(found, torch.cat(expected)) <= tolerance(found.dtype)


def _most_rows(context: Context, branches: Sequence[Branch]) -> int:
    """Rows of a pass: as many as a chunk of a prompt has that takes the same attention."""
    over_keys = any(
        str(name).endswith(OVER_KEYS) for branch in branches for name, _ in branch.hooks
    )
    fused = context.strategy.prefill.name == "sdpa" and not over_keys
    return SDPA_CHUNK_CPU if fused else most_eager_rows(context.model, context.n_read)


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
    device = input_device(context.model)
    n_bytes = pattern_bytes(context.model, *rows.visible.shape)
    own = [
        OwnRows(
            branch.hooks,
            positions=(slice(None), span),
            keys=(slice(None), slice(None), span, keys),
            n_before=n_prompt,
        )
        for branch, span, keys in zip(branches, rows.spans, rows.keys, strict=True)
    ]
    over_keys = [place for one in own for place, _ in one.hooks if str(place).endswith(OVER_KEYS)]
    hooks = [*hooks_on_rows(own), *handing_back(over_keys, device, n_bytes)]
    with (
        context.model.hooks(fwd_hooks=hooks),
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
            keys.append(visible[stop - 1].nonzero().flatten() if own else _NO_KEYS)
            positions += [n_prompt + len(earlier) + row for row in range(len(own))]
            start = stop
        return cls(spans, keys, visible, positions)

    def read(self, context: Context, tokens: Sequence[list[int]]) -> Float[Tensor, "row d_vocab"]:
        """Logits of the rows."""
        flat = [token for own in tokens for token in own]
        return context.read_masked(flat, self.visible, self.positions)
