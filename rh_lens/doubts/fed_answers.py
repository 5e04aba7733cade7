"""What becomes of a fed answer under conditions: the measure that every intervention shares."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_choice, require_type
from rh_lens.circuits import answer_log_probability
from rh_lens.evaluation import Estimate, unbounded_interval
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.representation import html_table
from rh_lens.runtime import (
    Bridge,
    Condition,
    ConditionLike,
    Context,
    FwdHooks,
    as_conditions,
    conditions_must_fire,
    inference,
    open_context,
    teacher_force,
)

PLAIN = "plain"
"""Name of the untouched model among conditions."""

Conditions: TypeAlias = Mapping[str, ConditionLike | Callable[[NeedlePrompt], FwdHooks]]
"""Hooks by name: hooks alone act while the answer is said; a function makes them of a prompt."""


@dataclass(frozen=True, eq=False)
class FedAnswers:
    """How well a model says the needles' answers under conditions, the answers being fed.

    Args:
        log_prob: Log-probability of each answer, in nats.
        chosen: Share of each answer's tokens that are the model's own choice, in [0, 1].
        conditions: Names of the conditions.
        needles: Name of each prompt's needle.
    """

    log_prob: Float[Tensor, "condition prompt"]
    chosen: Float[Tensor, "condition prompt"]
    conditions: tuple[str, ...]
    needles: tuple[str, ...]

    def __repr__(self) -> str:
        said = ", ".join(
            f"{name} {float(mean):.2f}"
            for name, mean in zip(self.conditions[:6], self.log_prob.mean(dim=1), strict=False)
        )
        return f"FedAnswers({len(self.needles)} prompts; log-probability: {said})"

    def _repr_html_(self) -> str:
        return html_table(self.to_dataframe(), f"{len(self.needles)} prompts", n_rows=30)

    def of(self, condition: str) -> Float[Tensor, " prompt"]:
        """Log-probabilities under a condition.

        Raises:
            ValueError: There is none of the name.
        """
        require_choice("condition", condition, self.conditions)
        return self.log_prob[self.conditions.index(condition)]

    def lost(self, condition: str, *, than: str = PLAIN, level: float = 0.95) -> Estimate:
        """Log-probability that a condition costs, in nats, and its interval over needles.

        Args:
            condition: The condition.
            than: The one that it is compared with.
            level: Coverage.

        Raises:
            ValueError: There is no such condition, or the level is not between 0 and 1.
        """
        return over_needles(self.of(than) - self.of(condition), self.needles, level=level)

    def to_dataframe(self) -> pd.DataFrame:
        """One row a condition: condition, log_prob, lost, lost_low, lost_high, chosen."""
        rows = []
        for place, name in enumerate(self.conditions):
            lost = self.lost(name, than=self.conditions[0])
            rows.append(
                {
                    "condition": name,
                    "log_prob": float(self.log_prob[place].mean()),
                    **lost.named("lost"),
                    "chosen": float(self.chosen[place].mean()),
                }
            )
        return pd.DataFrame(rows)


def fed_answers(
    model: Bridge, prompts: Sequence[NeedlePrompt], conditions: Conditions
) -> FedAnswers:
    """Log-probabilities of the needles' answers under conditions.

    Each prompt is read once for all conditions that act on the answer alone; the answer is fed.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts.
        conditions: By name. Hooks alone act on the answer's rows; a `Condition` says otherwise; a
            function gives the hooks for each prompt. The untouched model is added, as "plain".

    Raises:
        RuntimeError: A hook was never called.
        TypeError: An argument is of another type.
        ValueError: There is no prompt, or one does not fit the model.

    Examples:
        >>> found = fed_answers(model, new_prompts, {"silenced": zero_ablation(heads)})
        >>> found.conditions
        ('plain', 'silenced')
    """
    asked = require_prompts(prompts)
    require_type("conditions", conditions, Mapping, remedy="Pass hooks by name.")
    named = {PLAIN: Condition(), **conditions}
    longest = max(len(one.tokens) + len(one.answer_tokens) for one in asked)
    found: dict[tuple[str, int], tuple[float, float]] = {}
    with inference(model):
        context = open_context(model, asked[0].tokens, longest=longest)
        for place, prompt in enumerate(asked):
            own = {name: _condition(one, prompt) for name, one in named.items()}
            with conditions_must_fire(as_conditions(own)) as watched:
                # Those that read alike follow each other, and share one reading of the prompt.
                for name in sorted(watched, key=lambda name: bool(watched[name].prefill_hooks)):
                    found[name, place] = _said(model, prompt, watched[name], context)
    values = [[found[name, place] for place in range(len(asked))] for name in named]
    table = torch.tensor(values, dtype=torch.float64)
    needles = tuple(one.needle.name for one in asked)
    return FedAnswers(table[..., 0], table[..., 1], tuple(named), needles)


def over_needles(
    values: Float[Tensor, " prompt"], needles: Sequence[str], *, level: float = 0.95
) -> Estimate:
    """Mean of numbers and Student's interval over needles."""
    return unbounded_interval(values.double().numpy(), list(needles), level=level)


def _condition(
    given: ConditionLike | Callable[[NeedlePrompt], FwdHooks], prompt: NeedlePrompt
) -> Condition:
    hooks = given(prompt) if callable(given) else given
    require_type("conditions", hooks, (Condition, list, tuple), remedy="Pass hooks by name.")
    return hooks if isinstance(hooks, Condition) else Condition(list(hooks), scope="decode")


def _said(
    model: Bridge, prompt: NeedlePrompt, condition: Condition, context: Context
) -> tuple[float, float]:
    """Log-probability of a prompt's answer, and the share of it that the model chooses."""
    answer = prompt.answer_tokens
    logits = teacher_force(
        model,
        prompt.tokens,
        answer,
        decode_hooks=condition.decode_hooks,
        prefill_hooks=condition.prefill_hooks,
        context=context,
    )
    chosen = logits.argmax(dim=-1).cpu() == answer
    return float(answer_log_probability(logits, answer)), float(chosen.double().mean())
