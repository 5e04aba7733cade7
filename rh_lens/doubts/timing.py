"""When heads act: do they write a token in the very row that predicts it, or before?"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.circuits.rerun import Rerun, with_answer
from rh_lens.doubts.fed_answers import over_needles
from rh_lens.doubts.heads_given import heads_in_question
from rh_lens.evaluation import Estimate
from rh_lens.heads import Head, HeadsLike
from rh_lens.interventions.editing import HeadEdit, Hooks, edit_outputs, head_counts
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.representation import html_table
from rh_lens.runtime import Bridge, Context, inference, open_context


@dataclass(frozen=True, eq=False)
class StepEffects:
    """Nats that each token of an answer loses when heads are silent in one row only.

    Args:
        lost: For each prompt, `[silent row, token]`; row t predicts token t.
        needles: Name of each prompt's needle.
    """

    lost: tuple[Float[Tensor, "_ _"], ...]
    needles: tuple[str, ...]

    def __repr__(self) -> str:
        said = ", ".join(f"{lag} rows before {self.at_lag(lag).mean:.2f}" for lag in (0, 1))
        return f"StepEffects({len(self.needles)} prompts; nats lost: {said})"

    def _repr_html_(self) -> str:
        return html_table(self.to_dataframe(), repr(self))

    def at_lag(self, lag: int, *, level: float = 0.95) -> Estimate:
        """Nats that a token loses when heads are silent so many rows before its own; 0: in it.

        Mean over the tokens of each answer that have such a row, and the interval over needles.
        Later rows cannot reach a token: what the model says there comes after it.
        """
        pairs = [
            (float(one.diagonal(lag).mean()), needle)
            for one, needle in zip(self.lost, self.needles, strict=True)
            if len(one) > lag
        ]
        values = torch.tensor([value for value, _ in pairs], dtype=torch.float64)
        return over_needles(values, [needle for _, needle in pairs], level=level)

    def excess(self, *, level: float = 0.95) -> Estimate:
        """Nats lost with the heads silent in a token's own row, less those in the row before."""
        several = [place for place, one in enumerate(self.lost) if len(one) > 1]
        values = torch.tensor(
            [
                float(self.lost[place].diagonal().mean() - self.lost[place].diagonal(1).mean())
                for place in several
            ],
            dtype=torch.float64,
        )
        return over_needles(values, [self.needles[place] for place in several], level=level)

    def to_dataframe(self) -> pd.DataFrame:
        """One row a lag: lag, nats lost with interval."""
        longest = min(6, max(len(one) for one in self.lost))
        return pd.DataFrame(
            [{"lag": lag, **self.at_lag(lag).named("lost")} for lag in range(longest)]
        )


def step_effects(model: Bridge, prompts: Sequence[NeedlePrompt], heads: HeadsLike) -> StepEffects:
    """What each token of an answer loses when heads are silent in a single row.

    The answer is fed, so that all that differs is what the heads say in that row: its own token's
    logits at once, and later tokens' by what later rows read there. A head that merely goes along
    with a token that others write loses nothing in either.

    A prompt takes one pass of its answer for each of the answer's tokens.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts.
        heads: Silenced together.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no head or no prompt, or a head is not the model's.

    Examples:
        >>> found = step_effects(model, new_prompts[:2], heads)
        >>> type(found).__name__
        'StepEffects'
    """
    asked, chosen = require_prompts(prompts), heads_in_question(model, heads)
    longest = max(len(one.tokens) + len(one.answer_tokens) for one in asked)
    with inference(model):
        context = open_context(model, asked[0].tokens, longest=longest)
        lost = tuple(_lost(context, prompt, chosen) for prompt in asked)
    return StepEffects(lost, tuple(one.needle.name for one in asked))


def _lost(
    context: Context, prompt: NeedlePrompt, heads: Sequence[Head]
) -> Float[Tensor, "row token"]:
    answer = prompt.answer_tokens
    tokens = with_answer(prompt.tokens, answer)
    rerun = Rerun(context, tokens, len(prompt.tokens) - 1, len(answer))

    def said(hooks: Hooks) -> Float[Tensor, " token"]:
        log_prob = rerun.logits(hooks).float().log_softmax(dim=-1)
        return log_prob.gather(-1, answer.to(log_prob.device)[:, None])[:, 0].double().cpu()

    untouched = said([])
    rows = [untouched - said(_silent_row(rerun, heads, row)) for row in range(len(answer))]
    return torch.stack(rows)


def _silent_row(rerun: Rerun, heads: Sequence[Head], row: int) -> Hooks:
    """Hooks that silence heads in one of the rows that are run again."""

    def edit_of(layer: int, indices: list[int]) -> HeadEdit:
        def silence(z: Float[Tensor, "1 row head d_head"]) -> Tensor:
            place = row - rerun.rows_of(z.shape[1]).start
            silent = z.clone()
            if 0 <= place < z.shape[1]:
                silent[:, place] = 0
            return silent

        return silence

    return edit_outputs(heads, edit_of, head_counts(rerun.model))
