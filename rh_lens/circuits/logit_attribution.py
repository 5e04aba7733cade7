"""Direct logit attribution: an answer's logit as a sum over heads, MLPs and the embedding."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_whole_number
from rh_lens.circuits.answer_pass import AnswerPass, Stream, answer_pass, head_writes
from rh_lens.circuits.readout import Against, frozen_readout, require_against
from rh_lens.interventions.editing import head_counts
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.representation import short_repr
from rh_lens.runtime import Bridge, inference, open_context

Kind: TypeAlias = Literal["embedding", "head", "attention bias", "MLP", "layer", "bias"]


class Component(NamedTuple):
    """A part of the residual stream; layer and head are None where it has none.

    "attention bias" is what attention adds beside its heads; "layer" a layer without attention;
    "bias" those of the final norm and the unembedding.
    """

    kind: Kind
    layer: int | None = None
    head: int | None = None

    @property
    def label(self) -> str:
        """Such as `L2H4`, `L2 MLP`, `embedding`."""
        if self.layer is None:
            return self.kind
        return f"L{self.layer}H{self.head}" if self.kind == "head" else f"L{self.layer} {self.kind}"


@dataclass(frozen=True, eq=False)
class LogitAttribution:
    """What each component adds to the logit of an answer's tokens, mean over them.

    Args:
        components: The components; their values sum to the logits exactly.
        values: One a prompt and component.
        logits: Mean logit of each prompt's answer tokens.
        n_heads: Most heads in a layer.
    """

    components: tuple[Component, ...]
    values: Float[Tensor, "prompt component"]
    logits: Float[Tensor, " prompt"]
    n_heads: int

    __repr__ = short_repr

    def mean(self) -> Float[Tensor, " component"]:
        """Mean over the prompts."""
        return self.values.mean(dim=0)

    def by_head(self) -> Float[Tensor, "layer head"]:
        """Mean over the prompts by layer and head, NaN where there is no head."""
        n_layers = 1 + max(one.layer for one in self.components if one.layer is not None)
        table = torch.full((n_layers, self.n_heads), torch.nan, dtype=self.values.dtype)
        for one, value in zip(self.components, self.mean(), strict=True):
            if one.kind == "head" and one.layer is not None and one.head is not None:
                table[one.layer, one.head] = value
        return table

    def by_kind(self) -> dict[str, float]:
        """Mean over the prompts of what all components of a kind add together."""
        totals: dict[str, float] = {}
        for one, value in zip(self.components, self.mean().tolist(), strict=True):
            totals[one.kind] = totals.get(one.kind, 0.0) + value
        return totals

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The components that add most, and how much.

        Raises:
            TypeError: k is no whole number.
            ValueError: It is below 1.
        """
        require_whole_number("k", k, at_least=1, remedy="Ask for one or more.")
        mean = self.mean()
        order = mean.argsort(descending=True)[:k].tolist()
        return [(self.components[place].label, float(mean[place])) for place in order]

    def to_dataframe(self) -> pd.DataFrame:
        """One row a component, in the order of the stream: label, kind, layer, head, logit (mean
        over the prompts) and so_far (the sum up to there: what the residual stream holds)."""
        mean = self.mean()
        return pd.DataFrame(
            {
                "label": [one.label for one in self.components],
                "kind": [one.kind for one in self.components],
                "layer": [one.layer for one in self.components],
                "head": [one.head for one in self.components],
                "logit": mean.tolist(),
                "so_far": mean.cumsum(dim=0).tolist(),
            }
        ).astype({"layer": "Int64", "head": "Int64"})


def attribute_logits(
    model: Bridge, prompts: Sequence[NeedlePrompt], *, against: Against = "vocabulary"
) -> LogitAttribution:
    r"""What every head, every MLP and the embedding add to the logits of the needle's answer.

    The stream after the last layer is a sum, and with the final norm's scale held fixed its logit
    is one too: $l = \sum_c x_c \cdot d + b$ (Elhage et al. 2021; see `frozen_readout`). The answer
    is fed; the mean over its tokens is taken. So "attention moves it, MLPs know it" can be
    checked: which of the two says the answer?

    `transformer_lens.tools.analysis.direct_logit_attribution` gives the same where it can be used:
    it wants a model in compatibility mode, whose weights have changed, and square patterns.

    One pass of the answer's rows a prompt. Measured on the bundled model (one CPU thread), a prompt
    of 2,000 tokens: 0.4 s and 23 MB.

    Args:
        model: A TransformerBridge.
        prompts: The prompts; each one's answer is fed.
        against: "vocabulary" takes logits from the mean of all tokens' logits, "nothing" as they
            are (before a soft cap or a scale of logits).

    Raises:
        RuntimeError: The way of reading disagrees with the plain bridge.
        TypeError: An argument is of another type.
        ValueError: `against` is unknown, or the architecture does something else after its output
            projection or before its unembedding.

    Examples:
        >>> found = attribute_logits(model, new_prompts[:2])
        >>> found.top(2)
        [('L3 MLP', 6.1270527839660645), ('L2H4', 2.905125617980957)]
    """
    prompts = require_prompts(prompts)
    require_against(against)
    counts = head_counts(model)
    longest = max(len(prompt.tokens) + len(prompt.answer_tokens) for prompt in prompts)
    rows, logits = [], []
    with inference(model):
        context = open_context(model, prompts[0].tokens, longest=longest)
        for prompt in prompts:
            found = answer_pass(context, prompt.tokens, prompt.answer_tokens)
            readout = frozen_readout(found, against)
            parts = _parts(found, counts)
            said = [(part * readout.direction).sum(dim=-1).mean() for part in parts.values()]
            rows.append(torch.stack([*said, readout.constant.mean()]).cpu())
            logits.append(readout.logit.mean().cpu())
    components = (*parts, Component("bias"))
    return LogitAttribution(
        components, torch.stack(rows), torch.stack(logits), max(counts.values())
    )


def _parts(found: AnswerPass, counts: dict[int, int]) -> dict[Component, Stream]:
    """What the stream after the last layer is the sum of."""
    parts = {Component("embedding"): found.before[0]}
    n_layers = len(found.before)
    for layer in range(n_layers):
        after = found.before[layer + 1] if layer + 1 < n_layers else found.after
        if layer not in counts:
            parts[Component("layer", layer)] = after - found.before[layer]
            continue
        matrix, factor = head_writes(found, layer)
        heads = torch.einsum("rhd,hdm->hrm", found.outputs[layer], matrix) * factor
        parts |= {Component("head", layer, head): one for head, one in enumerate(heads)}
        if layer in found.after_attention:
            parts[Component("attention bias", layer)] = found.attention(layer) - heads.sum(dim=0)
            parts[Component("MLP", layer)] = after - found.after_attention[layer]
        else:
            # Added together in one step: the attention's bias goes with the MLP.
            parts[Component("MLP", layer)] = after - found.before[layer] - heads.sum(dim=0)
    return parts
