"""Whether all ways of silencing heads say the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from rh_lens.checks import require_seed
from rh_lens.doubts.fed_answers import Conditions, FedAnswers, fed_answers
from rh_lens.doubts.heads_given import require_heads_of
from rh_lens.evaluation import Estimate
from rh_lens.heads import Head, HeadsLike
from rh_lens.interventions import (
    head_outputs,
    knock_out_edges,
    mean_ablation,
    mean_head_outputs,
    random_ablation,
    resample_ablation,
    uniform_attention,
    zero_ablation,
)
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.representation import html_table
from rh_lens.runtime import Bridge, FwdHooks

OPERATORS = ("zero", "mean", "resample", "random", "uniform", "knock-out")
"""Ways to silence heads; the last two edit attention, which some architectures discard."""


@dataclass(frozen=True, eq=False)
class OperatorAgreement:
    """What each operator costs the answers, in the heads and in other heads of their layers.

    Args:
        answers: Log-probabilities under "heads: NAME" and "others: NAME".
        operators: Those that act on this model.
        left_out: The others, each with the reason.
    """

    answers: FedAnswers
    operators: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        said = ", ".join(f"{name} {self.effect(name).mean:.2f}" for name in self.operators)
        return f"OperatorAgreement(nats lost: {said})"

    def _repr_html_(self) -> str:
        return html_table(self.to_dataframe(), "Log-probability lost, in nats")

    def effect(self, operator: str, *, of: str = "heads", level: float = 0.95) -> Estimate:
        """Nats lost under an operator.

        Args:
            operator: One of `operators`.
            of: "heads" or "others".
            level: Coverage.

        Raises:
            ValueError: There is no such operator.
        """
        return self.answers.lost(f"{of}: {operator}", level=level)

    def excess(self, operator: str, *, level: float = 0.95) -> Estimate:
        """Nats lost in the heads less those lost in the others."""
        return self.answers.lost(f"heads: {operator}", than=f"others: {operator}", level=level)

    def to_dataframe(self) -> pd.DataFrame:
        """One row an operator: operator, lost with interval, others, more with interval."""
        return pd.DataFrame(
            [
                {
                    "operator": name,
                    **self.effect(name).named("lost"),
                    "others": self.effect(name, of="others").mean,
                    **self.excess(name).named("more"),
                }
                for name in self.operators
            ]
        )


def operator_agreement(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    heads: HeadsLike,
    *,
    reference: Sequence[NeedlePrompt],
    controls: HeadsLike = (),
    seed: int = 0,
) -> OperatorAgreement:
    """What silencing heads costs by every operator: zero, mean, resample, noise, uniform, cut.

    All act while the answer is said. "knock-out" cuts the heads off from the needle's answer only.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts; their answers are fed.
        heads: The heads in question.
        reference: Prompts of other needles, for means and donors.
        controls: None given: all others of the same layers.
        seed: Of donor and noise.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no head, no prompt or no reference, or a head is not the model's.

    Examples:
        >>> found = operator_agreement(model, new_prompts[:2], heads, reference=prompts[:2])
        >>> found.operators
        ('zero', 'mean', 'resample', 'random', 'uniform', 'knock-out')
    """
    chosen, others = require_heads_of(model, heads, controls)
    require_seed("seed", seed)
    makers = _makers(model, require_prompts(reference, "reference"), seed)
    conditions: dict[str, FwdHooks | Callable[[NeedlePrompt], FwdHooks]] = {}
    left_out = []
    for name, make in makers.items():
        try:
            own = {f"heads: {name}": make(chosen), f"others: {name}": make(others)}
        except ValueError as error:
            left_out.append((name, " ".join(str(error).split())[:200]))
            continue
        conditions |= own
    used = tuple(name for name in makers if f"heads: {name}" in conditions)
    table: Conditions = conditions
    return OperatorAgreement(fed_answers(model, prompts, table), used, tuple(left_out))


def _makers(
    model: Bridge, reference: Sequence[NeedlePrompt], seed: int
) -> dict[str, Callable[..., FwdHooks | Callable[[NeedlePrompt], FwdHooks]]]:
    means = mean_head_outputs(model, reference)
    donor = head_outputs(model, reference[0])

    def cut(heads: Sequence[Head]) -> Callable[[NeedlePrompt], FwdHooks]:
        uniform_attention(model, heads)  # refuses models that discard such edits
        return lambda prompt: knock_out_edges(model, heads, prompt.answer_span, keeps_all_keys=True)

    return {
        "zero": partial(zero_ablation, model=model),
        "mean": lambda heads: mean_ablation(heads, means),
        "resample": lambda heads: resample_ablation(heads, donor.draw(seed)),
        "random": lambda heads: random_ablation(heads, donor, seed),
        "uniform": partial(uniform_attention, model),
        "knock-out": cut,
    }
