"""Which conditions are read and answered side by side, as rows of a batch."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import require_type, require_whole_number
from rh_lens.runtime.architecture import Bridge, FwdHooks, require_bridge
from rh_lens.runtime.condition_rows import ConditionRows, first_layer, layer_of, row_hooks
from rh_lens.runtime.context import Context
from rh_lens.runtime.hooks import Condition, as_conditions
from rh_lens.runtime.inference import inference
from rh_lens.runtime.row_answers import open_rows, read_rows
from rh_lens.runtime.row_hooks import N_SAMPLE, OVER_KEYS, can_stand_beside
from rh_lens.runtime.self_check import relative_error, tolerance
from rh_lens.runtime.tokens import as_tokens

# What the rows of a group have together at most: tokens in their caches, logits in a pass.
_MOST_TOKENS, _MOST_LOGITS = 2**13, 2**25


def side_by_side(
    model: Bridge,
    context: Context,
    conditions: Mapping[str, Condition],
    sample: Int[Tensor, " pos"],
    *,
    n_rows: int,
) -> list[list[str]]:
    """Names of conditions in groups that are read side by side (`ConditionRows`).

    One condition a group where a layer sees less than the whole context, where the model takes no
    positions, where a cache can't be cut back, with hooks, the conditions' or open ones, that may
    be anywhere but at heads, and where a try on the first tokens of a prompt gives other logits
    than one condition after the other. A group is as large as a context of 8,192 tokens at most;
    its conditions begin in neighbouring layers, so that they share as much as they can, and either
    all or none of them act in the last layer, which prompts are read without if they can be.

    Args:
        model: A TransformerBridge.
        context: How prompts are read, tried out.
        conditions: Hooks and their scope, by name.
        sample: A prompt.
        n_rows: Most tokens of a pass whose logits are wanted.

    Raises:
        TypeError: `model` is not a TransformerBridge, or another argument has the wrong type.
        ValueError: There is no condition, no logits are wanted, or an id of the sample is beyond
            the vocabulary.

    Examples:
        >>> context = open_context(model, prompt.tokens, longest=200)
        >>> conditions = as_conditions({"a": zero_ablation("L2H2"), "b": zero_ablation("L2H3")})
        >>> side_by_side(model, context, conditions, prompt.tokens, n_rows=8)
        [['a', 'b']]
    """
    require_bridge(model)
    require_type("context", context, Context, remedy="Make one with open_context.")
    require_whole_number("n_rows", n_rows, at_least=1)
    conditions, sample = as_conditions(conditions), as_tokens(model, sample)
    longest = max(context.strategy.longest, 1)
    most = min(_MOST_TOKENS // longest, _MOST_LOGITS // (n_rows * int(model.cfg.d_vocab)))
    if most < 2 or not _can_share(model, context, conditions, sample):
        return [[name] for name in conditions]
    n_layers = int(model.cfg.n_layers)
    groups = []
    for names in _kinds(conditions, n_layers):
        names.sort(key=lambda name: first_layer(conditions[name].hooks, n_layers))
        n_groups = -(-len(names) // most)
        size = -(-len(names) // n_groups)
        groups += [names[at : at + size] for at in range(0, len(names), size)]
    return groups


def _kinds(conditions: Mapping[str, Condition], n_layers: int) -> list[list[str]]:
    """Conditions that can be read alike; those without hooks can be read with any."""
    kinds: dict[tuple[bool, ...], list[str]] = {}
    for name, condition in conditions.items():
        places = [str(place) for place, _ in condition.hooks]
        if places:
            in_last = any(layer_of(place) == n_layers - 1 for place in places)
            over_keys = any(place.endswith(OVER_KEYS) for place in places)
            scope = bool(condition.prefill_hooks), bool(condition.decode_hooks)
            kinds.setdefault((*scope, in_last, over_keys), []).append(name)
    found = list(kinds.values()) or [[]]
    found[0] += [name for name, condition in conditions.items() if not condition.hooks]
    return found


def _can_share(
    model: Bridge,
    context: Context,
    conditions: Mapping[str, Condition],
    sample: Int[Tensor, " pos"],
) -> bool:
    """Whether conditions may stand side by side."""
    first, hooks = sample[:N_SAMPLE].tolist(), [one.hooks for one in conditions.values()]
    return (
        can_stand_beside(context, hooks, len(first))
        and all(str(place).startswith("blocks.") for own in hooks for place, _ in own)
        and _rows_agree(model, context, first)
    )


def _rows_agree(model: Bridge, context: Context, tokens: list[int]) -> bool:
    """Whether conditions that begin in different layers read side by side as they do alone."""
    n_layers, third = int(model.cfg.n_layers), len(tokens) // 3
    tried = {"none": (), "all": _halved(model, 0), "upper": _halved(model, (n_layers + 1) // 2)}
    # Tokens of each row in two passes; where a row has fewer than others, it is filled up.
    parts = {"none": (2, 3), "all": (5, 1), "upper": (1, 4)}
    with inference(model):
        expected = [
            _read_alone(model, context, tried[name], tokens, third, parts[name]) for name in tried
        ]
        try:
            found = _read_together(model, context, tried, tokens, third, parts)
        except (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError):
            return False
    logits = torch.cat(expected)
    return relative_error(torch.cat(found), logits) <= tolerance(logits.dtype)


def _halved(model: Bridge, first: int) -> FwdHooks:
    """Hooks that halve the output of every head from a layer on."""

    def halve(z: Tensor, hook: object) -> Tensor:
        return z * 0.5

    return [
        (f"blocks.{layer}.attn.hook_z", halve)
        for layer, _ in model.blocks_with("attn")
        if layer >= first
    ]


def _read_alone(
    model: Bridge,
    context: Context,
    hooks: FwdHooks,
    tokens: list[int],
    n_before: int,
    parts: tuple[int, int],
) -> Float[Tensor, "row d_vocab"]:
    """Logits of what comes after the first tokens, under one condition."""
    alone = Context(model, context.strategy)
    alone.reach(tokens[:n_before], hooks)
    with model.hooks(fwd_hooks=list(hooks)):
        return alone.read(tokens[n_before : n_before + sum(parts)])


def _read_together(
    model: Bridge,
    context: Context,
    tried: Mapping[str, FwdHooks],
    tokens: list[int],
    n_before: int,
    parts: Mapping[str, tuple[int, int]],
) -> list[Float[Tensor, "row d_vocab"]]:
    """The same logits of all conditions, in two passes of rows."""
    conditions = {name: Condition(hooks) for name, hooks in tried.items()}
    rows = ConditionRows(model, context.strategy, conditions)
    rows.reach(tokens[:n_before])
    cache = open_rows(rows, 2 * max(map(sum, parts.values())))
    read: dict[str, list[Tensor]] = {name: [] for name in tried}
    for step in (0, 1):
        starts = [n_before + sum(parts[name][:step]) for name in rows.names]
        own = [
            tokens[start : start + parts[name][step]]
            for name, start in zip(rows.names, starts, strict=True)
        ]
        with model.hooks(fwd_hooks=list(row_hooks([tried[name] for name in rows.names]))):
            logits = read_rows(model, cache, starts, own)
        for name, kept, one in zip(rows.names, logits, own, strict=True):
            read[name].append(kept[: len(one)])
    return [torch.cat(read[name]) for name in tried]
