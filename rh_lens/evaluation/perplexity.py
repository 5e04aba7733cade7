"""Perplexity of plain text under conditions: does a model that lost a fact keep its language?"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Int
from torch import Tensor

from rh_lens.checks import (
    require_number,
)
from rh_lens.evaluation.intervals import unbounded_interval
from rh_lens.evaluation.text_losses import Losses, window_losses
from rh_lens.prompts import Haystack
from rh_lens.runtime import (
    DEFAULT_EXECUTION,
    Bridge,
    ConditionLike,
    Execution,
)


def perplexity(
    model: Bridge,
    text: Haystack | Sequence[str] | str | Int[Tensor, " pos"],
    conditions: Mapping[str, ConditionLike] | None = None,
    *,
    window: int = 256,
    n_windows: int = 16,
    execution: Execution = DEFAULT_EXECUTION,
    level: float = 0.95,
    done: Losses | None = None,
    on_losses: Callable[[Losses], object] | None = None,
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
        done: As in `window_losses`, and so is the next.
        on_losses: Called with new losses, window by window.

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

    Examples:
        >>> conditions = {"plain": [], "silenced": zero_ablation(heads)}
        >>> found = perplexity(model, haystack.text[:4000], conditions, window=64, n_windows=4)
        >>> found[["condition", "n_windows"]]
          condition  n_windows
        0     plain          4
        1  silenced          4
    """
    require_number("level", level, above=0, below=1)
    losses = window_losses(
        model,
        text,
        conditions,
        window=window,
        n_windows=n_windows,
        execution=execution,
        done=done,
        on_losses=on_losses,
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
