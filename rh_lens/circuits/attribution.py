"""What heads write: the part of each source position, and of each component, in a logit."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rh_lens.checks import require_flag, require_whole_number
from rh_lens.circuits.answer_pass import AnswerPass, answer_pass, head_writes
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.circuits.readout import Against, Readout, frozen_readout, require_against
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions.editing import head_counts, heads_by_layer, require_heads
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.representation import short_repr
from rh_lens.runtime import Bridge, Context, inference, open_context


@dataclass(frozen=True, eq=False)
class SourceContributions:
    """What each head moves from each position into the logits of an answer.

    Args:
        values: Contribution to the logit of answer token t; sums over positions are the heads'.
        heads: The heads.
        logits: The logits of the answer's tokens themselves.
        chosen: Whether the model's own choice in that row is the answer's token.
        answer_span: Half-open positions of the answer in the prompt.
    """

    values: Float[Tensor, "answer head pos"]
    heads: tuple[Head, ...]
    logits: Float[Tensor, " answer"]
    chosen: Bool[Tensor, " answer"]
    answer_span: tuple[int, int]

    __repr__ = short_repr

    @property
    def from_answer(self) -> Float[Tensor, "answer head"]:
        """What comes from the answer's own positions."""
        return self.values[..., slice(*self.answer_span)].sum(dim=-1)

    @property
    def from_elsewhere(self) -> Float[Tensor, "answer head"]:
        """What comes from all others."""
        return self.values.sum(dim=-1) - self.from_answer

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """Heads that move most from the answer's positions, mean over its tokens.

        Raises:
            TypeError: k is no whole number.
            ValueError: It is below 1.
        """
        require_whole_number("k", k, at_least=1, remedy="Ask for one or more.")
        moved = self.from_answer.mean(dim=0)
        order = moved.argsort(descending=True)[:k].tolist()
        return [(self.heads[place].label, float(moved[place])) for place in order]

    def to_dataframe(self) -> pd.DataFrame:
        """One row a head and answer token: layer, head, label, token, from_answer, from_elsewhere,
        chosen."""
        return pd.DataFrame(
            [
                {
                    "layer": head.layer,
                    "head": head.head,
                    "label": head.label,
                    "token": token,
                    "from_answer": float(self.from_answer[token, place]),
                    "from_elsewhere": float(self.from_elsewhere[token, place]),
                    "chosen": bool(self.chosen[token]),
                }
                for place, head in enumerate(self.heads)
                for token in range(len(self.values))
            ]
        )


def source_contributions(
    model: Bridge,
    prompt: NeedlePrompt,
    heads: HeadsLike | None = None,
    *,
    against: Against = "vocabulary",
    norm: bool = True,
) -> SourceContributions:
    r"""What each head moves from each position of a prompt into the logit of the fed answer.

    Head $h$, looking from the row that predicts answer token $k_t$ with attention $a_t$ at
    positions $j$ with values $v_j$, adds $a_t[j] \, v_j W_O \cdot d_t$ (Elhage et al. 2021), where
    $d_t$ is the unembedding vector of $k_t$ after the final norm, held fixed as it is in that row.
    Summed over j it is the head's direct logit attribution.

    Args:
        model: A TransformerBridge.
        prompt: The prompt; its answer is fed.
        heads: Which ones, in any notation of `as_heads`; None takes all.
        against: "vocabulary" measures the logit from the mean of all tokens' logits, which says
            nothing about any token; "nothing" takes it as it is.
        norm: False leaves the final norm out. The order of sources stays, as rows are only scaled,
            up to the norm's weight.

    Raises:
        RuntimeError: The way of reading disagrees with the plain bridge.
        TypeError: An argument is of another type.
        ValueError: The model has no such head, `against` is unknown, or the architecture does
            something else after its output projection or before its unembedding.

    Examples:
        >>> found = source_contributions(model, new_prompts[0])
        >>> found.top(2)
        [('L2H4', 2.713484048843384), ('L2H5', 2.643167734146118)]
    """
    (prompt,) = require_prompts([prompt])
    require_against(against)
    require_flag("norm", norm)
    chosen = _heads(model, heads)
    with inference(model):
        context = open_context(
            model, prompt.tokens, longest=len(prompt.tokens) + len(prompt.answer_tokens)
        )
        return _contributions(context, prompt, chosen, against, norm)


def write_scores(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    *,
    against: Against = "vocabulary",
    norm: bool = True,
    only_chosen: bool = True,
) -> HeadScores:
    r"""What each head moves into the answer's logit from the needle, less what from elsewhere.

    $\frac{1}{|T|} \sum_{t \in T} (\sum_{j \in i_q} \phi_t[j] - \sum_{j \notin i_q} \phi_t[j])$ with
    the contributions $\phi$ of `source_contributions`: the contrast of Logit-Contribution Scoring
    (Gema et al. 2026, arXiv:2607.01002), here with sums on both sides. Retrieval scores ask where a
    head looks; this asks what it does with it. Below 0: it writes against the answer.

    One pass of the answer's rows a prompt. Measured on the bundled model (one CPU thread), a prompt
    of 2,000 tokens: 0.4 s and 23 MB.

    Args:
        model: A TransformerBridge.
        prompts: The prompts; each one's answer is fed.
        against: As in `source_contributions`.
        norm: As in `source_contributions`.
        only_chosen: Count only tokens $T$ that the model itself would say there; NaN for a prompt
            without any.

    Raises:
        RuntimeError: The way of reading disagrees with the plain bridge.
        TypeError: An argument is of another type.
        ValueError: As for `source_contributions`.

    Examples:
        >>> sorted(head.label for head in write_scores(model, new_prompts).top(4))
        ['L2H2', 'L2H3', 'L2H4', 'L2H5']
    """
    prompts = require_prompts(prompts)
    require_against(against)
    for name, value in {"norm": norm, "only_chosen": only_chosen}.items():
        require_flag(name, value)
    heads = _heads(model, None)
    shape = (len(prompts), int(model.cfg.n_layers), max(head_counts(model).values()))
    values = torch.full(shape, torch.nan, dtype=torch.float64)
    longest = max(len(prompt.tokens) + len(prompt.answer_tokens) for prompt in prompts)
    with inference(model):
        context = open_context(model, prompts[0].tokens, longest=longest)
        for place, prompt in enumerate(prompts):
            found = _contributions(context, prompt, heads, against, norm)
            contrast = (found.from_answer - found.from_elsewhere).double()
            counted = contrast[found.chosen] if only_chosen else contrast
            for head, score in zip(heads, counted.mean(dim=0), strict=True):
                values[place, head.layer, head.head] = score
    return HeadScores(values, "write", tuple(prompt.needle.name for prompt in prompts))


def _heads(model: Bridge, heads: HeadsLike | None) -> tuple[Head, ...]:
    counts = head_counts(model)
    if heads is None:
        return tuple(Head(layer, head) for layer, n in counts.items() for head in range(n))
    require_heads(heads, counts)
    return tuple(dict.fromkeys(as_heads(heads)))


def _contributions(
    context: Context,
    prompt: NeedlePrompt,
    heads: Sequence[Head],
    against: Against,
    norm: bool,
) -> SourceContributions:
    layers = heads_by_layer(heads)
    found = answer_pass(context, prompt.tokens, prompt.answer_tokens, pattern_layers=layers)
    readout = frozen_readout(found, against, norm=norm)
    by_head = {
        Head(layer, head): rows
        for layer, own in layers.items()
        for head, rows in zip(own, _layer_contributions(found, readout, layer, own), strict=True)
    }
    return SourceContributions(
        torch.stack([by_head[head] for head in heads], dim=1).cpu(),
        tuple(heads),
        readout.logit.cpu(),
        (found.logits.argmax(dim=-1) == found.answer).cpu(),
        prompt.answer_span,
    )


def _layer_contributions(
    found: AnswerPass,
    readout: Readout,
    layer: int,
    heads: Sequence[int],
) -> list[Float[Tensor, "row pos"]]:
    """Contributions of some heads of a layer."""
    matrix, factor = head_writes(found, layer)
    values = found.values(layer)
    group = len(matrix) // len(values)
    direction = readout.direction * factor
    contributions = []
    for head in heads:
        # How much each dimension of the value says for the token: [row d_head].
        wanted = direction @ matrix[head].T
        weights = found.patterns[layer][head]
        contributions.append(weights * (wanted @ values[head // group][: weights.shape[1]].T))
    return contributions
