"""One prompt answered under many conditions at once, in the same passes.

The rows of all conditions stand behind the prompt's keys in one pass. A mask leaves each row the
prompt and what its own condition has said; rows of refused guesses are left to no one. Nothing of
the prompt's cache is copied.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rh_lens.runtime.answering import Answering, Generation
from rh_lens.runtime.attention import EAGER_CHUNK, SDPA_CHUNK_CPU
from rh_lens.runtime.bridge import Bridge, FwdHooks
from rh_lens.runtime.decode import require_room
from rh_lens.runtime.draft import Draft
from rh_lens.runtime.inference import inference
from rh_lens.runtime.prefill import Context, prefill_attention
from rh_lens.runtime.reach import Reach, attention_reach
from rh_lens.runtime.self_check import relative_error, tolerance
from rh_lens.runtime.stop import StopRule

# Tokens of a prompt that masked passes are tried out on; a shorter one is not worth it.
_N_SAMPLE = 24
# Hook points whose axes are known: positions, or rows and keys.
_OVER_POSITIONS, _OVER_KEYS = ("hook_z",), ("hook_pattern", "hook_attn_scores")


@dataclass(eq=False)
class Fork:
    """A condition's answer under way, and where its rows stand.

    Args:
        answering: The answer.
        hooks: The condition's hooks, as if it were alone.
        columns: Positions in the cache of the tokens that it has said.
    """

    answering: Answering
    hooks: FwdHooks
    columns: list[int] = field(default_factory=list)


def can_fork(
    model: Bridge,
    context: Context,
    conditions: Sequence[FwdHooks],
    sample: Int[Tensor, " pos"],
) -> bool:
    """Whether conditions may share their passes.

    Not where a layer sees less than the whole context, where the model takes no positions, where a
    cache can't be cut back, and not with hooks, the conditions' or open ones, whose tensors can't
    be told apart by condition. Last, it is tried out on the first tokens of a prompt, `sample`.
    """
    names = [name for hooks in conditions for name, _ in hooks]
    known = (*_OVER_POSITIONS, *_OVER_KEYS)
    return (
        len(conditions) > 1
        and len(sample) >= _N_SAMPLE
        and context.strategy.truncates
        and context.takes_positions
        and all(reach == Reach() for reach in attention_reach(model).values())
        and all(isinstance(name, str) and name.endswith(known) for name in names)
        and not model.list_hooks(dir="fwd")
        and _masks_act(model, context, sample[:_N_SAMPLE].tolist())
    )


def decode_forks(
    model: Bridge,
    prompt_tokens: Int[Tensor, " pos"],
    conditions: Mapping[str, tuple[FwdHooks, Draft | None]],
    *,
    max_new_tokens: int,
    stop: StopRule,
    context: Context,
) -> dict[str, Generation]:
    """The answers that `greedy_decode` gives to a prompt under each condition, alone.

    Rows are hooked as if each condition were alone. Without hooks at patterns, the passes take the
    attention that prompts are read with; in half precision, rounding may then decide between two
    tokens that are as good as equal.

    Args:
        model: A TransformerBridge for which `can_fork` holds.
        prompt_tokens: Token ids, at least one.
        conditions: Decoding hooks and guesses, by name.
        max_new_tokens: Longest answer, in tokens.
        stop: What ends an answer earlier.
        context: Context to continue; it has the prompt afterwards, without its last token.

    Raises:
        ValueError: The prompt is empty, `max_new_tokens` is below 1, or prompt and answer together
            exceed the context window.
    """
    with inference(model):
        require_room(model, len(prompt_tokens), max_new_tokens)
        *before, last = prompt_tokens.tolist()
        context.reach(before)
        forks = {
            name: Fork(Answering(model.tokenizer, last, max_new_tokens, stop, draft), hooks)
            for name, (hooks, draft) in conditions.items()
        }
        while under_way := [fork for fork in forks.values() if fork.answering.generation is None]:
            for part, tokens in _passes(under_way, _most_rows(context, under_way)):
                _run_pass(context, len(before), part, tokens)
        context.truncate(len(before))
    generations = {name: fork.answering.generation for name, fork in forks.items()}
    return {name: said for name, said in generations.items() if said is not None}


def _masks_act(model: Bridge, context: Context, tokens: list[int]) -> bool:
    """Whether two continuations of some tokens read side by side like one after the other."""
    third = len(tokens) // 3
    before, one, other = tokens[:third], tokens[third : 2 * third], tokens[2 * third :]
    alone = Context(model, context.strategy)
    with inference(model):
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


def _most_rows(context: Context, forks: Sequence[Fork]) -> int:
    """Rows of a pass: as many as a chunk of a prompt has that takes the same attention."""
    over_keys = any(str(name).endswith(_OVER_KEYS) for fork in forks for name, _ in fork.hooks)
    fused = context.strategy.prefill.name == "sdpa" and not over_keys
    return SDPA_CHUNK_CPU if fused else EAGER_CHUNK


def _passes(forks: Sequence[Fork], n_rows: int) -> Iterator[tuple[list[Fork], list[list[int]]]]:
    """Forks that pass together, with their tokens: as many as there are rows for."""
    part: list[Fork] = []
    tokens: list[list[int]] = []
    for fork in forks:
        own = fork.answering.next_tokens()
        if part and sum(map(len, tokens)) + len(own) > n_rows:
            yield part, tokens
            part, tokens = [], []
        part.append(fork)
        tokens.append(own)
    yield part, tokens


def _run_pass(
    context: Context, n_prompt: int, forks: Sequence[Fork], tokens: Sequence[list[int]]
) -> None:
    """Let the next tokens of some forks pass, and each fork go on by what the model says."""
    rows = _Rows.of(n_prompt, context.n_read, [fork.columns for fork in forks], tokens)
    hooks = [
        (name, _of_rows(function, rows.spans[place], rows.keys[place]))
        for place, fork in enumerate(forks)
        for name, function in fork.hooks
    ]
    with (
        context.model.hooks(fwd_hooks=hooks),
        prefill_attention(context.model, context.strategy),
    ):
        predicted = rows.read(context, tokens).argmax(dim=-1).tolist()
    for fork, span, keys in zip(forks, rows.spans, rows.keys, strict=True):
        n_kept = fork.answering.take(predicted[span])
        n_own = span.stop - span.start
        fork.columns += keys[len(keys) - n_own :][:n_kept].tolist()


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a pass.

    Args:
        spans: Rows of each fork.
        keys: Places in the cache of all that each fork's last row sees, in order.
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
        """Rows behind a prompt, for forks whose earlier tokens stand in some columns."""
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


def _of_rows(
    function: Callable[..., Any], rows: slice, keys: Int[Tensor, " key"]
) -> Callable[..., Tensor | None]:
    """A hook that is called with one fork's rows, and the keys that these may see."""

    def hooked(tensor: Float[Tensor, "1 ..."], hook: Any) -> Tensor | None:
        over_keys = str(hook.name).endswith(_OVER_KEYS)
        at = keys.to(tensor.device)
        own = tensor[:, :, rows][..., at] if over_keys else tensor[:, rows]
        edited = function(own, hook=hook)
        if edited is None:
            return None
        whole = tensor.clone()
        if over_keys:
            whole[:, :, rows, :] = whole[:, :, rows].index_copy(-1, at, edited)
        else:
            whole[:, rows] = edited
        return whole

    return hooked
