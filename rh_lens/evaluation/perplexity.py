"""Perplexity of plain text under conditions: does a model that lost a fact keep its language?"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import (
    require_list,
    require_number,
    require_text,
    require_whole_number,
)
from rh_lens.evaluation.intervals import unbounded_interval
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


def perplexity(
    model: Bridge,
    text: Haystack | Sequence[str] | str | Int[Tensor, " pos"],
    conditions: Mapping[str, ConditionLike] | None = None,
    *,
    window: int = 256,
    n_windows: int = 16,
    execution: Execution = DEFAULT_EXECUTION,
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Perplexity of a text under each condition, and how many times that of the first.

    Per token, $\exp(-\frac{1}{n}\sum_t \log p(x_t \mid x_{<t}))$ over the second half of every
    window; the first half is its context. A condition acts as it does on a needle prompt: while the
    first half is read without its last token ("prefill"), from that token on ("decode"), or both.
    All conditions are scored on the same tokens. See `window_losses` for the arguments.

    Args:
        model: A TransformerBridge.
        text: Text or token ids that nothing was fitted to.
        conditions: Hooks and their scope, by name; the first is what the others are compared with.
        window: Tokens in a window.
        n_windows: Windows at most.
        execution: How the first halves are read.
        level: Coverage that the intervals aim at.

    Returns:
        One row a condition: `condition`, `n_windows`, `n_tokens`, `nll` (mean negative
        log-likelihood in nats a token), `nll_low`, `nll_high`, `perplexity`, `ratio` (to the first
        condition), `ratio_low`, `ratio_high`. Intervals are Student's over windows; those of the
        ratio are paired, window by window. Windows of one text are alike: an interval says how
        sure the figure is for this kind of text.

    Raises:
        RuntimeError: A condition's hook was never called.
        TypeError: An argument is of another type, such as a model that is no TransformerBridge.
        ValueError: There is no condition, or the text has less than one window.
    """
    require_number("level", level, above=0, below=1)
    losses = window_losses(
        model, text, conditions, window=window, n_windows=n_windows, execution=execution
    )
    table = losses.pivot(index="window", columns="condition", values="nll")
    table = table[list(losses["condition"].unique())]
    first = table.iloc[:, 0]
    n_tokens = int(losses.loc[losses["condition"] == table.columns[0], "n_tokens"].sum())
    rows = []
    for condition, nll in table.items():
        own = unbounded_interval(nll.to_numpy(), nll.index, level=level)
        more = unbounded_interval((nll - first).to_numpy(), nll.index, level=level)
        rows.append(
            {
                "condition": condition,
                "n_windows": own.n_needles,
                "n_tokens": n_tokens,
                **own.named("nll"),
                "perplexity": np.exp(own.mean),
                "ratio": np.exp(more.mean),
                "ratio_low": np.exp(more.low),
                "ratio_high": np.exp(more.high),
            }
        )
    return pd.DataFrame(rows)


def window_losses(
    model: Bridge,
    text: Haystack | Sequence[str] | str | Int[Tensor, " pos"],
    conditions: Mapping[str, ConditionLike] | None = None,
    *,
    window: int = 256,
    n_windows: int = 16,
    execution: Execution = DEFAULT_EXECUTION,
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

    Returns:
        One row a condition and window, in this order: `condition`, `window`, `n_tokens` (those
        scored), `nll` (nats a token; summed in fp64).

    Raises:
        RuntimeError: The chosen way of reading disagrees with the plain bridge, or a condition's
            hook was never called.
        TypeError: An argument is of another type, such as a model that is no TransformerBridge.
        ValueError: There is no condition, the text has less than one window, or the window does not
            fit the model.
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
    found: dict[str, list[float]] = {name: [] for name in named}
    for name, nll in _losses(model, windows, named, execution):
        found[name].append(nll)
    return pd.DataFrame(
        [
            {"condition": name, "window": index, "n_tokens": window - window // 2, "nll": nll}
            for name, losses in found.items()
            for index, nll in enumerate(losses)
        ]
    )


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
) -> Iterator[tuple[str, float]]:
    """Loss of each window under each condition, in the order of the windows."""
    with conditions_must_fire(conditions) as watched:
        context = open_context(model, windows[0], longest=len(windows[0]), execution=execution)
        n_scored = len(windows[0]) - len(windows[0]) // 2
        groups = side_by_side(model, context, watched, windows[0], n_rows=n_scored)
        for group in groups:
            if len(group) > 1:
                yield from _losses_together(context, windows, {n: watched[n] for n in group})
        alone = {name: watched[name] for (name, *others) in groups if not others}
        yield from _losses_in_turn(context, windows, alone)


def _losses_together(
    context: Context, windows: Sequence[Int[Tensor, " window"]], conditions: Mapping[str, Condition]
) -> Iterator[tuple[str, float]]:
    """Loss of each window, read under all conditions at once."""
    rows = ConditionRows(context.model, context.strategy, conditions)
    for tokens in windows:
        before, scored = tokens[: len(tokens) // 2].tolist(), tokens[len(tokens) // 2 :]
        with inference(context.model):
            require_room(context.model, len(before), len(scored))
            rows.forget()
            rows.reach(before[:-1])
            logits = rows.read([before[-1], *scored[:-1].tolist()])
            found = {name: mean_nll(own, scored) for name, own in logits.items()}
        yield from found.items()


def _losses_in_turn(
    context: Context, windows: Sequence[Int[Tensor, " window"]], conditions: Mapping[str, Condition]
) -> Iterator[tuple[str, float]]:
    """Loss of each window, read under one condition after the other."""
    # Those that read alike follow each other, and share one reading of the first half.
    order = sorted(conditions, key=lambda name: bool(conditions[name].prefill_hooks))
    for tokens in windows:
        before, scored = tokens[: len(tokens) // 2], tokens[len(tokens) // 2 :]
        for name in order:
            logits = teacher_force(
                context.model,
                before,
                scored,
                decode_hooks=conditions[name].decode_hooks,
                prefill_hooks=conditions[name].prefill_hooks,
                context=context,
            )
            yield name, mean_nll(logits, scored)


def mean_nll(logits: Float[Tensor, "pos d_vocab"], tokens: Int[Tensor, " pos"]) -> float:
    """Mean negative log-likelihood of tokens in nats, from the rows that predict them.

    The softmax is taken in fp32, the mean in fp64.
    """
    losses = torch.nn.functional.cross_entropy(
        logits.float(), tokens.to(logits.device), reduction="none"
    )
    return float(losses.double().mean())
