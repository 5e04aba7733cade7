"""Whether several needles in one haystack give what one needle a haystack gives."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import pandas as pd
import torch

from rh_lens.checks import require_number
from rh_lens.detection import (
    DetectionChoices,
    NoAcceptedTrialsError,
    RetrievalScores,
    Trial,
    detect_retrieval_heads,
)
from rh_lens.evaluation.intervals import Estimate, difference_interval
from rh_lens.heads import Head
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.representation import html_table
from rh_lens.runtime import DEFAULT_EXECUTION, Bridge, Execution, require_bridge


@dataclass(frozen=True, eq=False)
class PackingCheck:
    """The same needles at the same depths, alone and with companions.

    Args:
        n_prompts: Prompts of each kind.
        n_together: Most needles in one haystack of the packed ones.
        accepted: Share of prompts that were accepted: alone, and packed.
        acceptance: Packed minus alone, with its 95 % interval over needles.
        heads: One row for each head with a score of the threshold or more in one of the two, best
            first: `label`, `alone`, `packed`, and `difference` with its interval over the needles
            that were accepted in both, as `difference_low` and `difference_high`.
        correlation: Pearson's, of all heads' scores; NaN where there are none.
        margin: Largest difference that does not matter.
        differences: What is beyond the margin, a text each; empty where packing changes nothing.
    """

    n_prompts: int
    n_together: int
    accepted: tuple[float, float]
    acceptance: Estimate
    heads: pd.DataFrame
    correlation: float
    margin: float
    differences: tuple[str, ...]

    def __repr__(self) -> str:
        return f"PackingCheck({self.text})"

    def _repr_html_(self) -> str:
        return html_table(self.heads, self.text)

    @property
    def same(self) -> bool:
        """Whether nothing differs by more than the margin."""
        return not self.differences

    @property
    def text(self) -> str:
        """What was found, in a sentence."""
        found = (
            f"{self.n_prompts} prompts, one needle each / {self.n_together} packed: accepted "
            f"{self.accepted[0]:.2f} / {self.accepted[1]:.2f} "
            f"(difference {self.acceptance.mean:+.2f}, 95 % interval {self.acceptance.low:+.2f} to "
            f"{self.acceptance.high:+.2f}), Pearson of scores {self.correlation:.4f}"
        )
        if self.same:
            return f"{found}; no difference beyond {self.margin:g}"
        return f"{found}; differs by more than {self.margin:g}: {'; '.join(self.differences)}"

    def record(self) -> dict[str, Any]:
        """The check as JSON values."""
        return {
            "n_prompts": self.n_prompts,
            "needles_per_context": self.n_together,
            "accepted_alone": self.accepted[0],
            "accepted_packed": self.accepted[1],
            "acceptance_difference": list(self.acceptance[:3]),
            "correlation": None if pd.isna(self.correlation) else self.correlation,
            "margin": self.margin,
            "heads": self.heads.to_dict("records"),
            "differences": list(self.differences),
        }


def check_packing(
    model: Bridge,
    alone: Iterable[NeedlePrompt],
    packed: Iterable[NeedlePrompt],
    *,
    margin: float = 0.05,
    execution: Execution = DEFAULT_EXECUTION,
    progress: bool = True,
    **choices: Unpack[DetectionChoices],
) -> PackingCheck:
    """Compares a small grid of one needle a prompt with its packed twin.

    Companions may distract a weak model, and then other heads look retrieving, or none. The two
    differ if the share of accepted prompts, or the position score of any head with the threshold or
    more in one of them, differs by more than the margin. Intervals over needles are beside
    (`difference_interval`). With twelve needles these are wide even without any difference: the
    check finds a change that is seen, and is no proof that there is none.

    Args:
        model: A TransformerBridge.
        alone: Prompts with one needle each.
        packed: As many, which ask about the same needles in the same order, with companions.
        margin: Largest difference in acceptance and scores that does not matter.
        execution: How prompts are read and answers decoded.
        progress: Whether to show progress bars.
        choices: As in `detect_retrieval_heads`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The two are not about the same needles, or the margin is not between 0 and 1.

    Examples:
        >>> shape = {"context_lengths": 256, "needles_per_context": 2}
        >>> two = default_needles()[:2]
        >>> packed = build_packed_grid(tokenizer, haystack, two, **shape)
        >>> alone = build_grid(tokenizer, haystack, two, context_lengths=256, depths=2)
        >>> check_packing(model, alone, packed, progress=False).n_together
        2
    """
    require_bridge(model)
    one, many = require_prompts(alone, "alone"), require_prompts(packed, "packed")
    require_number("margin", margin, above=0, below=1)
    if [prompt.needle for prompt in one] != [prompt.needle for prompt in many]:
        raise ValueError(
            f"Expected prompts about the same needles in the same order; found {len(one)} alone "
            f"and {len(many)} packed that differ. Take those of build_grid that match."
        )
    sides = [_Side.of(model, of, execution, progress, choices) for of in (one, many)]
    needles = [prompt.needle.name for prompt in one]
    difference = difference_interval(sides[1].accepted, sides[0].accepted, needles)
    table, correlation = _scores(sides, needles, choices.get("threshold", 0.1))
    shares = (sum(sides[0].accepted) / len(one), sum(sides[1].accepted) / len(many))
    return PackingCheck(
        n_prompts=len(one),
        n_together=1 + max(len(getattr(prompt, "companions", ())) for prompt in many),
        accepted=shares,
        acceptance=difference,
        heads=table,
        correlation=correlation,
        margin=margin,
        differences=tuple(_beyond(shares, table, margin)),
    )


@dataclass(frozen=True, eq=False)
class _Side:
    """What a detection found with one of the two: `scores` is None where no answer was right."""

    trials: Sequence[Trial]
    scores: RetrievalScores | None

    @classmethod
    def of(
        cls,
        model: Bridge,
        prompts: Sequence[NeedlePrompt],
        execution: Execution,
        progress: bool,
        choices: DetectionChoices,
    ) -> "_Side":
        """The position scores of a detection."""
        options: DetectionChoices = {**choices, "score": "position"}
        try:
            result = detect_retrieval_heads(
                model, prompts, execution=execution, progress=progress, **options
            )
        except NoAcceptedTrialsError as error:
            return cls(error.trials, None)
        return cls(result.trials, result.scores)

    @property
    def accepted(self) -> list[bool]:
        """Whether each answer was accepted."""
        return [trial.accepted for trial in self.trials]


def _scores(
    sides: Sequence[_Side], needles: Sequence[str], threshold: float
) -> tuple[pd.DataFrame, float]:
    """Scores of retrieval heads alone and packed, and the correlation of all heads' scores."""
    columns = ["label", "alone", "packed", "difference", "difference_low", "difference_high"]
    scores = [side.scores for side in sides if side.scores is not None]
    if len(scores) < len(sides):
        return pd.DataFrame(columns=columns), float("nan")
    means = torch.stack([one.mean().nan_to_num() for one in scores])
    values = [dict(zip(one.trials, one.values.nan_to_num(), strict=True)) for one in scores]
    common = sorted(values[0].keys() & values[1].keys())
    rows = []
    for head in (Head(*place) for place in (means.amax(dim=0) >= threshold).nonzero().tolist()):
        one, many = means[:, head.layer, head.head].tolist()
        own = [[float(of[trial][head.layer, head.head]) for trial in common] for of in values]
        ends = (float("nan"), float("nan"))
        if common:
            ends = difference_interval(own[1], own[0], [needles[trial] for trial in common])[1:3]
        rows.append((head.label, one, many, many - one, *ends))
    table = pd.DataFrame(rows, columns=columns).sort_values("alone", ascending=False)
    correlation = torch.corrcoef(means.flatten(start_dim=1))[0, 1]
    return table.reset_index(drop=True), float(correlation)


def _beyond(accepted: tuple[float, float], heads: pd.DataFrame, margin: float) -> list[str]:
    """What differs by more than the margin."""
    found = []
    if abs(accepted[1] - accepted[0]) > margin:
        found.append(f"acceptance goes from {accepted[0]:.2f} to {accepted[1]:.2f}")
    for row in heads[heads["difference"].abs() > margin].itertuples():
        found.append(f"{row.label} goes from {row.alone:.2f} to {row.packed:.2f}")
    if not max(accepted):
        found.append("no prompt is accepted, so that nothing can be compared")
    return found
