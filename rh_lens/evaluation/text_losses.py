"""Losses of a text, window by window, under conditions."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import TypeAlias

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import (
    require_callable,
    require_list,
    require_text,
    require_type,
    require_whole_number,
)
from rh_lens.prompts import Haystack, text_haystack
from rh_lens.prompts.haystack_tokens import tokenize_haystack
from rh_lens.prompts.pieces import PieceEncoder
from rh_lens.runtime import (
    DEFAULT_EXECUTION,
    Bridge,
    Condition,
    ConditionLike,
    ConditionRows,
    Context,
    Execution,
    as_conditions,
    conditions_must_fire,
    exclusively,
    inference,
    open_context,
    require_answering,
    require_bridge,
    side_by_side,
    teacher_force,
)
from rh_lens.runtime.decode import require_room
from rh_lens.runtime.tokens import as_tokens

Losses: TypeAlias = Mapping[tuple[str, int], float]
"""Mean negative log-likelihoods in nats a token, by condition and window."""


def window_losses(
    model: Bridge,
    text: Haystack | Sequence[str] | str | Int[Tensor, " pos"],
    conditions: Mapping[str, ConditionLike] | None = None,
    *,
    window: int = 256,
    n_windows: int = 16,
    execution: Execution = DEFAULT_EXECUTION,
    done: Losses | None = None,
    on_losses: Callable[[Losses], object] | None = None,
) -> pd.DataFrame:
    """Mean negative log-likelihood of the second half of each window, under each condition.

    Args:
        model: A TransformerBridge.
        text: A haystack or documents, cut into windows one after the other, each beginning with the
            tokenizer's BOS if it adds one; or token ids, cut as they are. What is left over at the
            end is not used. Hooks must treat all positions of a pass alike.
        conditions: Hooks and their scope, by name; hooks alone act all along. None: the model as
            it is, under the name "plain".
        window: Tokens in a window, at least 2.
        n_windows: Windows at most, the first ones.
        execution: How the first halves are read.
        done: Losses of this text under these conditions that are known: not measured again.
        on_losses: Called with new losses, those of a window together, to save them as they come.

    Returns:
        One row a condition and window, in this order: `condition`, `window`, `n_tokens` (those
        scored), `nll` (nats a token; summed in fp64).

    Raises:
        RuntimeError: The chosen way of reading disagrees with the plain bridge, or a condition's
            hook was never called.
        TypeError: An argument is of another type, such as a model that is no TransformerBridge.
        ValueError: There is no condition, the text has less than one window, or the window does not
            fit the model.

    Examples:
        >>> found = window_losses(model, haystack.text[:4000], window=64, n_windows=2)
        >>> found[["condition", "window"]]
          condition  window
        0     plain       0
        1     plain       1
    """
    require_bridge(model)
    named = as_conditions({"plain": Condition()} if conditions is None else conditions)
    require_answering(execution=execution)
    windows = _windows(model, text, window, n_windows)
    if not windows:
        raise ValueError(
            f"Expected a text of {window} tokens or more, one window; found fewer. Give a longer "
            "text or a smaller window."
        )
    known = _require_losses(done, named)
    if on_losses is not None:
        require_callable("on_losses", on_losses)
    for losses in _losses(model, windows, named, execution, known):
        known |= losses
        if on_losses is not None:
            on_losses(losses)
    places = [(name, index) for name in named for index in range(len(windows))]
    rows = [(*place, window - window // 2, known[place]) for place in places]
    return pd.DataFrame(rows, columns=["condition", "window", "n_tokens", "nll"])


def _require_losses(
    done: Losses | None, conditions: Mapping[str, Condition]
) -> dict[tuple[str, int], float]:
    """A copy of losses that are known, all of them of these conditions."""
    if done is not None:
        require_type("done", done, Mapping, remedy="Keep what on_losses is called with.")
    for name, index in done or {}:
        if name not in conditions:
            raise ValueError(
                f"Expected the losses of `done` to be of the conditions {list(conditions)[:4]}; "
                f"found one of {name!r}, window {index}. Leave it out."
            )
    return dict(done or {})


def _windows(
    model: Bridge,
    text: Haystack | Sequence[str] | str | Int[Tensor, " pos"],
    window: int,
    n_windows: int,
) -> list[Int[Tensor, " window"]]:
    """Whole windows of the text."""
    remedy = "Half of a window is scored: give 2 tokens or more, as many as the model reads."
    require_whole_number("window", window, at_least=2, at_most=10**7, remedy=remedy)
    require_whole_number("n_windows", n_windows, at_least=1, at_most=10**7)
    start = torch.empty(0, dtype=torch.long)
    if isinstance(text, Tensor):
        text = as_tokens(model, text)
    else:
        haystack = text if isinstance(text, Haystack) else text_haystack(_documents(text))
        encoder = PieceEncoder(model.tokenizer)
        start = encoder.start_tokens
        text = tokenize_haystack(encoder, haystack, n_tokens=n_windows * window).tokens
    size = window - len(start)
    parts = text.cpu().split(size) if size > 0 else ()
    return [torch.cat([start, part]) for part in parts[:n_windows] if len(part) == size]


def _documents(text: Sequence[str] | str) -> tuple[str, ...]:
    if isinstance(text, str):
        require_text("text", text)
        return (text,)
    return require_list(
        "text", text, str, at_least=1, remedy="Pass a haystack, documents or token ids."
    )


@exclusively
def _losses(
    model: Bridge,
    windows: Sequence[Int[Tensor, " window"]],
    conditions: Mapping[str, Condition],
    execution: Execution,
    known: Container[tuple[str, int]],
) -> Iterator[dict[tuple[str, int], float]]:
    """Losses that are not known, by condition and window, those of the same passes together."""
    places = {(name, index) for name in conditions for index in range(len(windows))}
    missing = {place for place in places if place not in known}
    if not missing:
        return
    context = open_context(model, windows[0], longest=len(windows[0]), execution=execution)
    n_scored = len(windows[0]) - len(windows[0]) // 2
    # Groups of all conditions, also of those that are known: what is read side by side may move
    # the last bits, and a measurement that goes on is to equal an undisturbed one.
    groups = side_by_side(model, context, conditions, windows[0], n_rows=n_scored)
    asked = {name for name, _ in missing}
    groups = [group for group in groups if asked & set(group)]
    named = {name: conditions[name] for group in groups for name in group}
    with conditions_must_fire(named) as watched:
        for group in groups:
            if len(group) > 1:
                own = {name: watched[name] for name in group}
                yield from _losses_together(context, windows, own, missing)
        alone = {name: watched[name] for (name, *others) in groups if not others}
        yield from _losses_in_turn(context, windows, alone, missing)


def _losses_together(
    context: Context,
    windows: Sequence[Int[Tensor, " window"]],
    conditions: Mapping[str, Condition],
    missing: Container[tuple[str, int]],
) -> Iterator[dict[tuple[str, int], float]]:
    """Missing losses of each window, read under all conditions at once."""
    rows = ConditionRows(context.model, context.strategy, conditions)
    for index, tokens in enumerate(windows):
        wanted = [name for name in conditions if (name, index) in missing]
        if not wanted:
            continue
        before, scored = tokens[: len(tokens) // 2].tolist(), tokens[len(tokens) // 2 :]
        with inference(context.model):
            require_room(context.model, len(before), len(scored))
            rows.forget()
            rows.reach(before[:-1])
            logits = rows.read([before[-1], *scored[:-1].tolist()])
            found = {(name, index): mean_nll(logits[name], scored) for name in wanted}
        yield found


def _losses_in_turn(
    context: Context,
    windows: Sequence[Int[Tensor, " window"]],
    conditions: Mapping[str, Condition],
    missing: Container[tuple[str, int]],
) -> Iterator[dict[tuple[str, int], float]]:
    """Missing losses of each window, read under one condition after the other."""
    # Those that read alike follow each other, and share one reading of the first half.
    order = sorted(conditions, key=lambda name: bool(conditions[name].prefill_hooks))
    for index, tokens in enumerate(windows):
        before, scored = tokens[: len(tokens) // 2], tokens[len(tokens) // 2 :]
        found = {}
        for name in (one for one in order if (one, index) in missing):
            logits = teacher_force(
                context.model,
                before,
                scored,
                decode_hooks=conditions[name].decode_hooks,
                prefill_hooks=conditions[name].prefill_hooks,
                context=context,
            )
            found[name, index] = mean_nll(logits, scored)
        if found:
            yield found


def mean_nll(logits: Float[Tensor, "pos d_vocab"], tokens: Int[Tensor, " pos"]) -> float:
    """Mean negative log-likelihood of tokens in nats, from the rows that predict them.

    The softmax is taken in fp32, the mean in fp64.
    """
    losses = torch.nn.functional.cross_entropy(
        logits.float(), tokens.to(logits.device), reduction="none"
    )
    return float(losses.double().mean())
