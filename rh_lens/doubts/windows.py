"""Full against partial attention: which heads need to see far?"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_list, require_whole_number
from rh_lens.doubts.fed_answers import PLAIN, fed_answers, over_needles
from rh_lens.doubts.heads_given import heads_in_question
from rh_lens.evaluation import Estimate
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions import uniform_attention
from rh_lens.interventions.editing import edit_scores, head_counts
from rh_lens.prompts import NeedlePrompt
from rh_lens.representation import short_repr
from rh_lens.runtime import Bridge, Condition, FwdHooks

N_SINKS = 1
"""First tokens of the context that stay visible: without them, attention falls apart."""


@dataclass(frozen=True, eq=False)
class WindowCurve:
    """Nats lost when heads see only the last tokens.

    Args:
        widths: Tokens that are seen, rising.
        heads: With a window on the heads in question only.
        others: With a window on all other heads of the model only.
        distance: Tokens from each needle's end to the end of its prompt: a window that is no wider
            hides it from all rows of the answer.
        needles: Name of each prompt's needle.
    """

    widths: tuple[int, ...]
    heads: Float[Tensor, "width prompt"]
    others: Float[Tensor, "width prompt"]
    distance: tuple[int, ...]
    needles: tuple[str, ...]

    __repr__ = short_repr

    @property
    def hiding(self) -> list[int]:
        """Widths that hide every needle from the answer."""
        return [width for width in self.widths if width <= min(self.distance)]

    def lost(self, width: int, of: str = "heads", *, level: float = 0.95) -> Estimate:
        """Nats lost with a window of this width, and the interval over needles.

        Args:
            width: One of `widths`.
            of: "heads" or "others".
            level: Coverage.
        """
        values = self.heads if of == "heads" else self.others
        return over_needles(values[self.widths.index(width)], self.needles, level=level)

    def excess(self, width: int, *, level: float = 0.95) -> Estimate:
        """Nats lost with the window on the heads, less those with it on all others."""
        place = self.widths.index(width)
        return over_needles(self.heads[place] - self.others[place], self.needles, level=level)

    def to_dataframe(self) -> pd.DataFrame:
        """One row a width: width, nats lost of heads and of others, each with its interval."""
        return pd.DataFrame(
            [
                {
                    "width": width,
                    **self.lost(width).named("heads"),
                    **self.lost(width, "others").named("others"),
                }
                for width in self.widths
            ]
        )


def sliding_window(
    model: Bridge, heads: HeadsLike, width: int, *, n_sinks: int = N_SINKS
) -> FwdHooks:
    """Forward hooks that let the listed heads see the last tokens and the first ones only.

    Scores of all other keys become minus infinity before the softmax, as in a layer with a sliding
    window and attention sinks (Xiao et al. 2023, arXiv:2309.17453).

    Args:
        model: A TransformerBridge; it runs a few tokens, to see that edits of scores act.
        heads: Query heads, in any notation of `as_heads`; none gives no hook.
        width: Tokens that a row sees, its own among them.
        n_sinks: First tokens that stay visible.

    Returns:
        One (hook name, function) for each layer, for reading and for decoding.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The model has no such head, or edits of attention have no effect in it.

    Examples:
        >>> hooks = sliding_window(model, heads, width=32)
        >>> needle_recall(model, prompts[:2], {"window": hooks}, progress=False)
        RecallResult(2 prompts; mean recall: window 0.00)
    """
    require_whole_number("width", width, at_least=1)
    require_whole_number("n_sinks", n_sinks, at_least=0)
    chosen = as_heads(heads)
    # What makes attention uniform there can cut it as well.
    uniform_attention(model, chosen)
    narrow = partial(_narrow, width, n_sinks)
    return edit_scores(chosen, lambda layer: narrow)


def window_curve(
    model: Bridge, prompts: Sequence[NeedlePrompt], heads: HeadsLike, widths: Sequence[int]
) -> WindowCurve:
    """What answers lose as heads see less: windows on the heads only, and on all others only.

    The windows act while the prompt is read and while the answer, which is fed, is said.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts, their needles far from the end.
        heads: The heads in question.
        widths: Tokens to see.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no width, no prompt or no head, or edits of attention have no effect.

    Examples:
        >>> found = window_curve(model, new_prompts[:2], heads, widths=[32, 128])
        >>> type(found).__name__
        'WindowCurve'
    """
    chosen = heads_in_question(model, heads)
    sizes = require_list("widths", widths, int, at_least=1)
    for size in sizes:
        require_whole_number("widths", size, at_least=1)
    rising = tuple(sorted(set(sizes)))
    counts = head_counts(model)
    every = [Head(layer, head) for layer, n in counts.items() for head in range(n)]
    groups = {"heads": chosen, "others": [head for head in every if head not in chosen]}
    conditions = {
        f"{name} {width}": Condition(sliding_window(model, group, width), scope="both")
        for name, group in groups.items()
        for width in rising
    }
    found = fed_answers(model, prompts, conditions)
    lost = {
        name: torch.stack([found.of(PLAIN) - found.of(f"{name} {width}") for width in rising])
        for name in groups
    }
    distance = tuple(len(one.tokens) - one.needle_span[1] for one in prompts)
    return WindowCurve(rising, lost["heads"], lost["others"], distance, found.needles)


def _narrow(
    width: int, n_sinks: int, scores: Float[Tensor, "batch head query key"]
) -> Float[Tensor, "batch head query key"]:
    """Scores without keys that are too far back; the last key is the last row's own."""
    n_query, n_key = scores.shape[-2:]
    key = torch.arange(n_key, device=scores.device)
    row = key[n_key - n_query :]
    far = (row[:, None] - key >= width) & (key >= n_sinks)
    return scores.masked_fill(far, -torch.inf)
