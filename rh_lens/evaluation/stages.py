"""Answering under the sets of a plan in stages: draws end early where they settle the test."""

import math
from collections.abc import Callable, Sequence

from rh_lens.evaluation.ablation_plan import AblationPlan
from rh_lens.evaluation.kept_answers import KeptAnswers


def answer_in_stages(
    plan: AblationPlan,
    n_prompts: int,
    few: Sequence[int],
    ask: Callable[[Sequence[str], Sequence[int]], KeptAnswers],
    is_settled: Callable[[AblationPlan, KeptAnswers], bool],
) -> tuple[AblationPlan, KeptAnswers]:
    """Answers of the compared sets to all prompts, of the drawn rankings to a few of them.

    Rankings are drawn in two stages: when the first quarter settles the test, the rest is not
    asked about.

    Args:
        plan: The sets.
        n_prompts: Prompts.
        few: Indices of the prompts that drawn rankings answer.
        ask: Answers of conditions, at least one, to prompts; no condition is asked about twice.
        is_settled: Whether the rankings of a plan that were asked about are enough.

    Returns:
        The plan with the rankings that were asked about, and the answers of its sets in order.
    """
    compared = tuple(plan.heads_of(["none", "top", "control"]))
    found = dict(ask(compared, range(n_prompts)))
    for n_rankings in (math.ceil(plan.n_rankings / 4), plan.n_rankings):
        part = plan.first_rankings(n_rankings)
        drawn = tuple(name for name in part.heads_of(["drawn"]) if name not in compared)
        # Only those that have not answered yet: a run that was stopped here asks them alike.
        asked = {name for name, _ in found}
        if new := [name for name in drawn if name not in asked]:
            found |= ask(new, few)
        wanted = [(name, place) for name in compared for place in range(n_prompts)]
        wanted += [(name, place) for name in drawn for place in few]
        kept = {key: found[key] for key in wanted}
        if is_settled(part, kept):
            break
    return part, kept
