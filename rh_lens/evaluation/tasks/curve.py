"""A task's score against the number of silenced heads, top K beside controls."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import pandas as pd

from rh_lens.checks import require_callable, require_choice, require_number, require_type
from rh_lens.evaluation.ablation_plan import AblationPlan
from rh_lens.evaluation.answer_plan import Operator
from rh_lens.evaluation.curve_tables import controls_table, curve_table, is_settled
from rh_lens.evaluation.curves import SetAnswers, by_heads
from rh_lens.evaluation.draw_plan import plan_ablation
from rh_lens.evaluation.kept_answers import KeptAnswers
from rh_lens.evaluation.paired_answers import PairedAnswers
from rh_lens.evaluation.stages import answer_in_stages
from rh_lens.evaluation.tasks.evaluate import ask_items
from rh_lens.evaluation.tasks.prompts import task_prompts
from rh_lens.evaluation.tasks.result import TaskResult, result_of
from rh_lens.evaluation.tasks.task import Task
from rh_lens.heads import HeadsLike, as_heads
from rh_lens.interventions import Family, HeadTraits, Match, zero_ablation
from rh_lens.interventions.editing import head_counts, require_heads
from rh_lens.representation import cut, html_table
from rh_lens.runtime import (
    DEFAULT_EXECUTION,
    Bridge,
    Condition,
    Execution,
    Scope,
    require_answering,
)

_RENAMED = {"n_needles": "n_documents", "n_prompts": "n_items", "p_untouched": "p_documents"}


@dataclass(frozen=True, eq=False)
class TaskCurve:
    """Answers to a task with the top K heads silenced, and with controls silenced, for each K.

    Args:
        result: All answers, by condition.
        plan: Which heads each condition silences.
    """

    result: TaskResult
    plan: AblationPlan

    def __repr__(self) -> str:
        table = self.result.answers.groupby("condition")[self.result.task.metric].mean()
        tops = [(k, self.plan.of(k, "top" if k else "none")[0]) for k in self.plan.ks]
        told = ", ".join(f"{k}: {table[name]:.2f}" for k, name in tops)
        n_controls = sum(heads.kind == "control" for heads in self.plan.sets)
        return (
            f"TaskCurve({self.result.task.name!r}, {len(self.result.prompts)} items; mean "
            f"{self.result.task.metric} with the top K silenced: {cut(told, 120)}; {n_controls} "
            "control sets)"
        )

    def _repr_html_(self) -> str:
        return html_table(self.to_dataframe(), repr(self), n_rows=20)

    @property
    def answers(self) -> pd.DataFrame:
        """One row a condition and item: `k`, `kind`, `match`, `draw`, and `TaskResult.answers`."""
        sets = self.plan.to_dataframe().drop(columns="heads").drop_duplicates("condition")
        return sets.merge(self.result.answers, on="condition", validate="one_to_many")

    @property
    def kept(self) -> SetAnswers:
        """The answers themselves, for `task_curve(done=...)` with more Ks or controls."""
        return by_heads(self.plan, self.result.kept)

    def to_dataframe(
        self, metric: str | None = None, *, level: float = 0.95, margin: float = 0.05
    ) -> pd.DataFrame:
        """One row for each K: the top K, what it changes, and tests. Documents are the unit.

        Columns as `AblationCurve.to_dataframe` has them, but `p_documents` for `p_untouched`,
        `n_documents` and `n_items` for needles and prompts, and besides:

        | column | |
        |---|---|
        | `p_equivalent` | `equivalence_pvalue`: silencing the top K changes less than `margin` |
        | `margin` | largest change that does not matter |

        That no loss is found does not show that there is none: "leaves the task alone" is the
        claim of `p_equivalent`.

        Args:
            metric: Name of a score; None: the task's first.
            level: Coverage that the intervals aim at.
            margin: Largest change that does not matter, for `p_equivalent`.

        Raises:
            TypeError: An argument is of another type.
            ValueError: The task has no such score, or a number is not between 0 and 1.
        """
        require_number("margin", margin, above=0, below=1)
        paired = self.result.paired(metric, level=level)
        return curve_with_equivalence(self.plan, paired, margin).rename(columns=_RENAMED)

    def controls_to_dataframe(
        self, metric: str | None = None, *, level: float = 0.95, margin: float = 0.05
    ) -> pd.DataFrame:
        """One row for each K and kind of control: what other heads do, side by side.

        Columns as `AblationCurve.controls_to_dataframe` has them.

        Args:
            metric: Name of a score; None: the task's first.
            level: Coverage that the intervals aim at.
            margin: Largest change that does not matter, for `p_equivalent`.

        Raises:
            TypeError: An argument is of another type.
            ValueError: The task has no such score, or a number is not between 0 and 1.
        """
        require_number("margin", margin, above=0, below=1)
        paired = self.result.paired(metric, level=level)
        return controls_table(self.plan, paired, margin=margin)


def curve_with_equivalence(
    plan: AblationPlan, paired: PairedAnswers, margin: float
) -> pd.DataFrame:
    """`curve_table` with the equivalence test of each K against the untouched model."""
    table = curve_table(plan, paired)
    tops = [plan.of(k, "top")[0] if k else None for k in plan.ks]
    table["p_equivalent"] = [
        float("nan") if top is None else paired.equivalence(top, ["none"], margin) for top in tops
    ]
    table["margin"] = margin
    return table


def task_curve(
    model: Bridge,
    task: Task,
    ranking: HeadsLike,
    *,
    ks: Sequence[int] | None = None,
    operator: Operator | None = None,
    scope: Scope = "both",
    n_controls: int = 10,
    match: Match | Sequence[Match] = "layer",
    traits: HeadTraits | None = None,
    n_rankings: int = 19,
    family: Family = "layer",
    exclude: HeadsLike = (),
    seed: int = 0,
    heads: HeadsLike = (),
    chat: bool = False,
    progress: bool = True,
    execution: Execution = DEFAULT_EXECUTION,
    on_plan: Callable[[AblationPlan], object] | None = None,
    done: SetAnswers | None = None,
    on_answers: Callable[[SetAnswers], object] | None = None,
) -> TaskCurve:
    """A task's score against the number of silenced heads: top K by score, controls, and a test.

    Sections 4.2 and 4.3 of Wu et al. 2024 (arXiv:2404.15574), with control draws that are seeded,
    distinct, matched and disjoint from the top K, and with rankings drawn to test the heads by,
    which answer the first item of each document.

    Args:
        model: A TransformerBridge.
        task: From `load_task`, a loader such as `load_squad`, or made with `Task`.
        ranking: Heads, best first, such as `result.scores.ranking()`.
        ks: Numbers of heads; 0 is always among them. None: those of 0, 1, 2, 5, 10, 20 and 50 that
            the ranking has.
        operator: What is done to heads: hooks from heads. None: `zero_ablation`.
        scope: While the prompt is read, while the answer is decoded, or both.
        n_controls: Control draws for each K and match; 0 gives none.
        match: What controls share with the top K: see `control_heads`.
        traits: From `head_traits`; needed to match by "norm" or "entropy".
        n_rankings: Rankings for the test of the heads: see `plan_ablation`.
        family: Inside what the rankings exchange heads: see `draw_rankings`.
        exclude: Heads that are no controls, such as all retrieval heads.
        seed: Seed of the draws.
        heads: Heads whose attention is recorded, for `chain_steps`.
        chat: Whether to write prompts in the tokenizer's chat format.
        progress: Whether to show a progress bar.
        execution: How prompts are read and answers decoded.
        on_plan: Called with the plan before anything is answered.
        done: Answers that are there already, under the same operator and scope, such as
            `TaskCurve.kept`.
        on_answers: Called with new answers as they end.

    Raises:
        RuntimeError: A hook was never called: an intervention did not take place.
        TypeError: An argument is of another type, such as a model that is no TransformerBridge.
        ValueError: The ranking names a head twice or one that the model lacks, or has fewer heads
            than a K; a prompt does not fit the model.

    Examples:
        >>> row = {"context": "The key is here.", "question": "Where is it?", "answers": "here"}
        >>> rows = [row] * 2
        >>> choices = {"ks": [4], "n_controls": 0, "n_rankings": 1, "progress": False}
        >>> task_curve(model, load_own(rows), heads, **choices).to_dataframe()["k"].tolist()
        [0, 4]
    """
    require_type("task", task, Task, remedy="Make one with Task, or load_task.")
    for name, call in {"operator": operator, "on_plan": on_plan, "on_answers": on_answers}.items():
        if call is not None:
            require_callable(name, call)
    require_choice("scope", scope, get_args(Scope))
    require_answering(execution=execution, progress=progress)
    if done is not None:
        require_type("done", done, Mapping, remedy="Take it from curve.kept.")
    plan = plan_ablation(
        model,
        ranking,
        ks=ks,
        n_controls=n_controls,
        match=match,
        traits=traits,
        n_rankings=n_rankings,
        family=family,
        exclude=exclude,
        seed=seed,
    )
    chosen = as_heads(heads)
    require_heads(chosen, head_counts(model))
    prompts = tuple(task_prompts(model.tokenizer, task, chat=chat))
    if on_plan is not None:
        on_plan(plan)
    hooks = operator or partial(zero_ablation, model=model)
    sets = plan.heads_of(["none", "top", "control", "drawn"])
    conditions = {name: Condition(hooks(h) if h else (), scope) for name, h in sets.items()}
    answered = _done_by_name(done or {}, sets, len(prompts))

    def report(answers: KeptAnswers) -> None:
        if on_answers is not None:
            on_answers(by_heads(plan, answers))

    def ask(names: Sequence[str], places: Sequence[int]) -> KeptAnswers:
        own = {name: conditions[name] for name in names}
        there = {key: one for key, one in answered.items() if key[0] in own and key[1] in places}
        asked = partial(ask_items, model, task, prompts, own, chosen, there, execution, report)
        return asked(progress=progress, places=places)

    def settled(part: AblationPlan, kept: KeptAnswers) -> bool:
        return is_settled(part, result_of(task, prompts, kept).paired())

    few = _first_of_each_unit(task)
    part, kept = answer_in_stages(plan, len(prompts), few, ask, settled)
    return TaskCurve(result_of(task, prompts, kept, chosen), part)


def _done_by_name(
    done: SetAnswers, sets: Mapping[str, Sequence[Any]], n_items: int
) -> dict[tuple[str, int], Any]:
    """What is done of these sets of heads, by their conditions' names."""
    found: dict[tuple[str, int], Any] = {}
    for name, heads in sets.items():
        key = tuple(sorted(heads))
        found |= {(name, at): done[key, at] for at in range(n_items) if (key, at) in done}
    return found


def _first_of_each_unit(task: Task) -> list[int]:
    """Where the first item of each document stands."""
    first: dict[str, int] = {}
    for place, item in enumerate(task.items):
        first.setdefault(item.unit, place)
    return list(first.values())
