"""A short prompt, read both ways: what a run is about to do, and the plain bridge."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import require_flag
from rh_lens.runtime.architecture import (
    Bridge,
    FwdHooks,
    architecture_of,
    attention_layers,
    input_device,
    require_bridge,
)
from rh_lens.runtime.context import Context, NoCacheError, require_cache
from rh_lens.runtime.execution import DEFAULT_EXECUTION, Execution
from rh_lens.runtime.hooks import without_hooks
from rh_lens.runtime.inference import inference
from rh_lens.runtime.strategy import Strategy, configured_strategy, through_the_bridge
from rh_lens.runtime.tokens import as_tokens

# Tokens of the prompt that are tried.
N_SAMPLE = 48
# Largest error of the logits, relative to their own size, that rounding explains: measured below
# 1e-5 in fp32; a lost mask, position or head gives 0.1 to 1.
_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.2}


def open_context(
    model: Bridge,
    sample: Int[Tensor, " pos"] | Sequence[int],
    *,
    longest: int,
    execution: Execution = DEFAULT_EXECUTION,
    cuts_back: bool = True,
) -> Context:
    """Empty context whose way of reading has been tried out on the first tokens of a prompt.

    The plain bridge and the chosen strategy read the sample with every head's output halved at
    `hook_z`; their logits must agree, and `hook_z` must fire alike. The strategy reads it in
    pieces, with a refused draft in between. Hooks that are open on the model are not called.

    When "auto" finds that an architecture fails under SDPA with an error, or that a hook is open
    which SDPA would not call, it reads in chunks through the bridge instead, and says so.

    Args:
        model: A TransformerBridge.
        sample: Token ids of any prompt of the run; the first few count.
        longest: Tokens of the longest prompt and its answer.
        execution: How to read.
        cuts_back: Whether the run will cut the context back. If it will not, and reads prompts in
            one pass through the bridge, there is nothing to try out.

    Raises:
        RuntimeError: The two disagree.
        TypeError: `model` is not a TransformerBridge, or another argument has the wrong type.
        ValueError: The model can't be read the way that was asked for, an open hook would not be
            called, or an id of the sample is beyond the vocabulary.

    Examples:
        >>> context = open_context(model, prompt.tokens, longest=200)
        >>> greedy_decode(model, prompt.tokens, stop=stop, context=context).text
        ' velvet comet eleven.'
    """
    require_bridge(model)
    require_flag("cuts_back", cuts_back)
    sample = as_tokens(model, sample)
    strategy = configured_strategy(model, longest=longest, execution=execution)
    if not cuts_back and strategy.prefill.name == "whole":
        return Context(model, strategy)
    limit = architecture_of(model).rope_limit
    n_sample = N_SAMPLE if limit is None else min(N_SAMPLE, limit.n_tokens - 1)
    tokens = [int(token) for token in sample[:n_sample]]
    with inference(model):
        expected, fired = _plain_reading(model, tokens)
        try:
            checked = _checked(model, strategy, tokens, expected, fired)
        except (_UnsupportedError, _SilentHookError) as error:
            if execution.prefill != "auto" or strategy.prefill.name != "sdpa":
                raise error.as_value_error() from error.__cause__
            in_pieces = strategy.prefill.chunk is not None
            method = through_the_bridge(str(error), execution, in_pieces=in_pieces)
            checked = _checked(model, replace(strategy, prefill=method), tokens, expected, fired)
    return Context(model, checked)


def require_decoder(model: Bridge) -> None:
    """Refuse a model that can't answer token by token from a KV cache, after a pass of one token.

    Raises:
        TypeError: `model` is not a TransformerBridge.
        ValueError: It has no attention or no KV cache, or its architecture is not supported.

    Examples:
        >>> require_decoder(model)
    """
    attention_layers(model)
    token = torch.zeros((1, 1), dtype=torch.long, device=input_device(model))
    with inference(model), without_hooks(model):
        _, cache = model(token, return_type="logits_and_cache", use_cache=True)
    require_cache(model, cache)


class _UnsupportedError(Exception):
    """The chosen way of reading fails with an error of the model's own."""

    def as_value_error(self) -> ValueError:
        return ValueError(
            f'Expected a model that can be read as asked for; found that {self}. Use prefill="auto"'
            ' or "whole".'
        )


class _SilentHookError(_UnsupportedError):
    """A hook is open that would not be called."""


def _checked(
    model: Bridge,
    strategy: Strategy,
    tokens: Sequence[int],
    expected: Float[Tensor, "row d_vocab"],
    fired: dict[int, Any],
) -> Strategy:
    """The strategy, if it reads like the plain bridge; with the hook points it leaves silent."""
    logits, filled = _planned_reading(model, strategy, tokens)
    points = _attention_points(model, to_the_end=not strategy.cache.plain)
    silent = [point for point in points if id(point) in fired and id(point) not in filled]
    if any(str(point.name).endswith(("hook_z", "o.hook_in")) for point in silent):
        raise RuntimeError(
            f"Expected hook_z to fire under {strategy.prefill.name!r} reading; found it silent at "
            f"{[point.name for point in silent][:4]}: an ablation would not reach the prompt. "
            'Force prefill="chunked" or "whole", and report the model.'
        )
    _require_agreement(model, strategy, logits, expected)
    if strategy.prefill.name != "sdpa":
        return strategy
    places = {_place(point) for point in silent}
    everywhere = tuple(p for p in _attention_points(model) if _place(p) in places)
    for point in everywhere:
        if point.fwd_hooks:
            raise _SilentHookError(
                f"a hook is open at {point.name}, which SDPA would not call while a prompt is read"
            )
    return replace(strategy, silent=everywhere)


def _planned_reading(
    model: Bridge, strategy: Strategy, tokens: Sequence[int]
) -> tuple[Float[Tensor, "row d_vocab"], dict[int, Any]]:
    """Logits of the second half as the run will have them, and what fires in the first half."""
    half = _first_half(tokens)
    with without_hooks(model), model.hooks(fwd_hooks=_halved_heads(model)):
        context = Context(model, _in_pieces(strategy, half))
        try:
            with _count_calls(_attention_points(model)) as filled:
                context.reach(tokens[:half])
            return _read_with_a_refusal(context, tokens[half:]), filled
        except NoCacheError:
            raise
        except (RuntimeError, TypeError, AttributeError, IndexError, KeyError, ValueError) as error:
            text = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            raise _UnsupportedError(f"{strategy.prefill.name} fails with {text}") from error


def _plain_reading(
    model: Bridge, tokens: Sequence[int]
) -> tuple[Float[Tensor, "row d_vocab"], dict[int, Any]]:
    """Logits of the second half by the plain bridge, and the attention hook points that fire."""
    ids = torch.tensor([list(tokens)], device=input_device(model))
    points = _attention_points(model)
    with (
        without_hooks(model),
        model.hooks(fwd_hooks=_halved_heads(model)),
        _count_calls(points) as fired,
    ):
        logits = model(ids, return_type="logits")
    return logits[0, _first_half(tokens) :], fired


def _first_half(tokens: Sequence[int]) -> int:
    """How many of the tokens are read for the cache; at least one is left for the logits."""
    return len(tokens) // 2


def _in_pieces(strategy: Strategy, n_tokens: int) -> Strategy:
    """The strategy with so small chunks that a sample takes more than one."""
    if strategy.prefill.chunk is None or n_tokens < 2:
        return strategy
    return replace(strategy, prefill=replace(strategy.prefill, chunk=(n_tokens + 1) // 2))


def _read_with_a_refusal(context: Context, tokens: Sequence[int]) -> Float[Tensor, "row d_vocab"]:
    """Logits of the tokens; where the strategy allows it, with a draft refused halfway."""
    if not context.strategy.truncates:
        return torch.cat([context.read([token]) for token in tokens])
    n_first = len(tokens) // 2 + 1
    refused = tokens[:3]
    first = context.read([*tokens[:n_first], *refused])[:n_first]
    context.truncate(context.n_read - len(refused))
    rest = tokens[n_first:]
    return torch.cat([first, context.read(rest)]) if rest else first


def _halved_heads(model: Bridge) -> FwdHooks:
    """Hooks that halve the output of every head, in layers that have `hook_z`."""

    def halve(z: Tensor, hook: Any) -> Tensor:
        return z * 0.5

    names = (f"blocks.{layer}.attn.hook_z" for layer, _ in model.blocks_with("attn"))
    return [(name, halve) for name in names if name in model.hook_dict]


def _attention_points(model: Bridge, *, to_the_end: bool = True) -> list[Any]:
    """Hook points of all attention layers, or of those before the last one.

    A pass that fills a plain cache ends with the last layer's keys, and its other points are not
    reached.
    """
    layers = [block.attn for _, block in model.blocks_with("attn")]
    kinds = {type(point) for point in model.hook_dict.values()}
    return [
        part
        for attn in (layers if to_the_end else layers[:-1])
        for part in attn.modules()
        if type(part) in kinds
    ]


def _place(point: Any) -> str:
    """A hook point's name within its layer."""
    return str(point.name).split(".", 2)[-1]


@contextmanager
def _count_calls(points: Sequence[Any]) -> Iterator[dict[int, Any]]:
    """Hook points that are called inside, by id."""
    called: dict[int, Any] = {}

    def note(point: Any, *_: Any) -> None:
        called[id(point)] = point

    handles = [point.register_forward_hook(note) for point in points]
    try:
        yield called
    finally:
        for handle in handles:
            handle.remove()


def _require_agreement(
    model: Bridge,
    strategy: Strategy,
    found: Float[Tensor, "row d_vocab"],
    expected: Float[Tensor, "row d_vocab"],
) -> None:
    """Refuse a way of reading that gives other logits than the plain bridge."""
    error, most = relative_error(found, expected), tolerance(expected.dtype)
    if not error <= most:
        raise RuntimeError(
            f"Expected {strategy.prefill.name!r} reading of {model.cfg.model_name!r} to give the "
            f"logits of the plain bridge up to {most:g} of their size; found an error of "
            f"{error:.3g} on {len(found)} tokens. Read in "
            "another way, with execution=PLAIN_EXECUTION, and report the model."
        )


def relative_error(
    found: Float[Tensor, "row d_vocab"], expected: Float[Tensor, "row d_vocab"]
) -> float:
    """Size of the difference of two sets of logits, relative to the size of the second."""
    scale = expected.float().norm().clamp(min=1e-12)
    return float((found.float() - expected.float()).norm() / scale)


def tolerance(dtype: torch.dtype) -> float:
    """Largest relative error of logits in a precision that rounding explains."""
    return _TOLERANCE.get(dtype, 0.2)
