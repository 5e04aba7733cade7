"""Whether heads matter for text in which there is nothing to retrieve."""

from dataclasses import dataclass

import pandas as pd
import torch

from rh_lens.doubts.fed_answers import over_needles
from rh_lens.doubts.heads_given import require_heads_of
from rh_lens.evaluation import Estimate, window_losses
from rh_lens.heads import HeadsLike
from rh_lens.interventions import zero_ablation
from rh_lens.prompts import Haystack
from rh_lens.representation import short_repr
from rh_lens.runtime import Bridge


@dataclass(frozen=True, eq=False)
class PlainText:
    """Losses of a text, in nats a token, by window.

    Args:
        losses: Columns `condition` ("plain", "heads", "others"), `window`, `n_tokens`, `nll`.
    """

    losses: pd.DataFrame

    __repr__ = short_repr

    def rise(self, of: str = "heads", *, level: float = 0.9) -> Estimate:
        """Nats a token by which the loss rises, and its interval over windows.

        The interval of level 0.9 lies within a margin where two one-sided tests of level 0.05
        show equivalence (Schuirmann 1987).

        Raises:
            ValueError: There is no such condition.
        """
        by_name = self.losses.pivot(index="window", columns="condition", values="nll")
        rise = torch.tensor((by_name[of] - by_name["plain"]).to_numpy(copy=True))
        return over_needles(rise, [str(window) for window in by_name.index], level=level)

    def to_dataframe(self) -> pd.DataFrame:
        """One row a condition: condition, rise, rise_low, rise_high (level 0.9)."""
        names = [name for name in ("heads", "others") if name in set(self.losses["condition"])]
        return pd.DataFrame([{"condition": n, **self.rise(n).named("rise")} for n in names])


def plain_text_losses(
    model: Bridge,
    text: Haystack,
    heads: HeadsLike,
    *,
    window: int = 128,
    n_windows: int = 24,
) -> PlainText:
    """Losses of text without any needle, with the heads silenced and with the others silenced.

    Args:
        model: A TransformerBridge.
        text: Prose; what repeats in it is something to retrieve too.
        heads: The heads in question, silenced all along.
        window: Tokens in a window; the second half is scored.
        n_windows: Windows.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no head, a head is not the model's, or the text is too short.

    Examples:
        >>> found = plain_text_losses(model, haystack, ["L3H0"], window=64, n_windows=2)
        >>> len(found.to_dataframe())
        2
    """
    chosen, others = require_heads_of(model, heads)
    conditions = {
        "plain": [],
        "heads": zero_ablation(chosen, model=model),
        "others": zero_ablation(others, model=model),
    }
    return PlainText(window_losses(model, text, conditions, window=window, n_windows=n_windows))
