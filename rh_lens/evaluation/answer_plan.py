"""Silencing the heads of a plan, one set after the other, and asking about needles."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from inspect import signature
from typing import Any, TypeAlias, get_args

from rh_lens.checks import (
    require_callable,
    require_choice,
    require_type,
)
from rh_lens.detection import room_for_answers
from rh_lens.evaluation.ablation_plan import AblationPlan
from rh_lens.evaluation.curve_tables import is_settled
from rh_lens.evaluation.curves import AblationCurve, SetAnswers, by_heads
from rh_lens.evaluation.draw_plan import plan_ablation, require_draws
from rh_lens.evaluation.kept_answers import KeptAnswer, KeptAnswers
from rh_lens.evaluation.paired_answers import PairedAnswers
from rh_lens.evaluation.recall import RecallResult, needle_recall, recall_of
from rh_lens.evaluation.stages import answer_in_stages
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions import Family, Match, head_traits, zero_ablation
from rh_lens.interventions.editing import head_counts, require_heads
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.runtime import (
    Bridge,
    Condition,
    FwdHooks,
    Scope,
    require_answering,
)

Operator: TypeAlias = Callable[[Sequence[Head]], FwdHooks]
"""What is done to heads: hooks from heads."""


def ablation_curve(
    model: Bridge,
    prompts: Iterable[NeedlePrompt],
    ranking: HeadsLike,
    *,
    ks: Sequence[int] | None = None,
    operator: Operator | None = None,
    scope: Scope = "both",
    n_controls: int = 10,
    match: Match | Sequence[Match] = "layer",
    n_rankings: int = 19,
    family: Family = "layer",
    exclude: HeadsLike = (),
    seed: int = 0,
    record: HeadsLike = (),
    on_plan: Callable[[AblationPlan], object] | None = None,
    **options: Any,
) -> AblationCurve:
    """Needle recall against the number of silenced heads: top K by score, controls, and a test.

    Figure 7 of Wu et al. 2024 (arXiv:2404.15574), with control draws that are seeded, distinct,
    matched and disjoint from the top K, and with rankings drawn to test the heads by. With
    `scope="decode"` each prompt is read once for all conditions.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts; best with other needles than the heads were found with, such as
            `evaluation_needles()`.
        ranking: Heads, best first, such as `result.scores.ranking()`.
        ks: Numbers of heads; 0 is always among them. None: those of 0, 1, 2, 5, 10, 20 and 50 that
            the ranking has.
        operator: What is done to heads: hooks from heads, such as
            `lambda heads: scale_heads(heads, 0.5)`. None: `zero_ablation`.
        scope: While the prompt is read, while the answer is decoded, or both.
        n_controls: Control draws for each K and match; 0 gives none.
        match: What controls share with the top K: see `control_heads`. Several are all drawn.
        n_rankings: Rankings for the test of the heads: see `plan_ablation`.
        family: Inside what the rankings exchange heads: see `draw_rankings`.
        exclude: Heads that are no controls, such as all retrieval heads. Without it, the controls
            of a small K may hold heads that come next in the ranking.
        seed: Seed of the draws.
        record: Heads whose attention is kept as `recall.activity`.
        on_plan: Called with the plan before anything is answered; `summarise` tells what the
            test of the heads can show.
        options: Further arguments of `answer_plan` and `needle_recall`, such as `max_new_tokens`,
            `progress`, `done` or `on_answers`.

    Raises:
        RuntimeError: A hook was never called: an intervention did not take place.
        TypeError: An argument is of another type, such as a model that is no TransformerBridge.
        ValueError: There is no prompt; the ranking names a head twice or one that the model lacks,
            or has fewer heads than a K.

    Examples:
        >>> choices = {"n_controls": 1, "n_rankings": 0, "progress": False}
        >>> found = ablation_curve(model, new_prompts, scores.ranking(), ks=(0, 4), **choices)
        >>> found.to_dataframe()[["k", "top"]]
           k       top
        0  0  1.000000
        1  4  0.091667
    """
    prompts = require_prompts(prompts)
    require_draws(model, ranking, ks, n_controls, match, n_rankings, family, exclude, seed)
    _require_run(model, operator, scope, record, options, on_plan=on_plan)
    plan = plan_ablation(
        model,
        ranking,
        ks=ks,
        n_controls=n_controls,
        match=match,
        traits=head_traits(model, [prompts[place] for place in first_of_each_needle(prompts)]),
        n_rankings=n_rankings,
        family=family,
        exclude=exclude,
        seed=seed,
    )
    if on_plan is not None:
        on_plan(plan)
    return answer_plan(
        model, prompts, plan, operator=operator, scope=scope, record=record, **options
    )


def answer_plan(
    model: Bridge,
    prompts: Iterable[NeedlePrompt],
    plan: AblationPlan,
    *,
    operator: Operator | None = None,
    scope: Scope = "both",
    record: HeadsLike = (),
    done: SetAnswers | None = None,
    on_answers: Callable[[SetAnswers], object] | None = None,
    **options: Any,
) -> AblationCurve:
    """Needle recall with each set of heads of a plan silenced; what is answered may be passed in.

    A curve grows without asking anything twice:

        curve = answer_plan(model, prompts, plan)
        longer = answer_plan(model, prompts, plan_with_more_sets, done=curve.kept)

    Drawn rankings answer the first prompt of each needle: needles are what a test counts, and the
    top K are compared with them on these prompts. They are drawn in two stages: when the first
    quarter was harmful enough to settle the test, the rest is not asked about (`is_settled`), and
    the curve's plan has no more of them.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts.
        plan: From `plan_ablation`.
        operator: As in `ablation_curve`, and so are the next two.
        scope: While the prompt is read, while the answer is decoded, or both.
        record: Heads whose attention is kept as `recall.activity`.
        done: Answers under the same operator and scope to the same prompts, with the same heads
            recorded. Those of sets that the plan lacks are left aside.
        on_answers: Called with new answers as they end.
        options: Further arguments of `needle_recall`, such as `max_new_tokens` or `progress`.

    Raises:
        RuntimeError: A hook was never called: an intervention did not take place.
        TypeError: An argument is of another type, such as a model that is no TransformerBridge.
        ValueError: There is no prompt, or what is done is of something else.

    Examples:
        >>> plan = plan_ablation(model, scores.ranking(), ks=[4], n_controls=1, n_rankings=0)
        >>> found = answer_plan(model, new_prompts, plan, done=curve.kept, progress=False)
        >>> found.to_dataframe()[["k", "top"]]
           k       top
        0  0  1.000000
        1  4  0.091667
    """
    prompts = require_prompts(prompts)
    require_type("plan", plan, AblationPlan, remedy="Take it from plan_ablation.")
    _require_run(model, operator, scope, record, options, on_answers=on_answers)
    if done is not None:
        require_type("done", done, Mapping, remedy="Take it from curve.kept.")
    if options.get("max_new_tokens") is None:
        options["max_new_tokens"] = room_for_answers(prompts)
    hooks = operator or partial(zero_ablation, model=model)
    sets = plan.heads_of(["none", "top", "control", "drawn"])
    conditions = {
        name: Condition(hooks(heads) if heads else (), scope) for name, heads in sets.items()
    }
    answered = _done_by_name(done or {}, sets, len(prompts))

    def report(answers: KeptAnswers) -> None:
        if on_answers is not None:
            on_answers(by_heads(plan, answers))

    def ask(names: Sequence[str], places: Sequence[int]) -> KeptAnswers:
        return _ask(model, prompts, conditions, record, options, names, places, answered, report)

    def judged(kept: KeptAnswers) -> RecallResult:
        return recall_of(kept, prompts, model.tokenizer, as_heads(record))

    def settled(part: AblationPlan, kept: KeptAnswers) -> bool:
        return is_settled(part, PairedAnswers.of(judged(kept).answers, "recall", level=0.95))

    few = first_of_each_needle(prompts)
    part, kept = answer_in_stages(plan, len(prompts), few, ask, settled)
    return AblationCurve(judged(kept), part, {name: conditions[name] for name, _ in kept})


def _done_by_name(
    done: SetAnswers, sets: Mapping[str, Sequence[Head]], n_prompts: int
) -> dict[tuple[str, int], KeptAnswer]:
    """What is done of these sets of heads, by their conditions' names."""
    found: dict[tuple[str, int], KeptAnswer] = {}
    for name, heads in sets.items():
        key = tuple(sorted(heads))
        found |= {(name, at): done[key, at] for at in range(n_prompts) if (key, at) in done}
    return found


def _require_run(
    model: Bridge,
    operator: Operator | None,
    scope: Scope,
    record: HeadsLike,
    options: Mapping[str, Any],
    **calls: object,
) -> None:
    """Refuse what no set of heads can be silenced and asked about with."""
    calls |= {"operator": operator}
    for name, call in calls.items():
        if call is not None:
            require_callable(name, call)
    require_choice("scope", scope, get_args(Scope))
    require_heads(as_heads(record), head_counts(model))
    for name in options:
        known = {*signature(needle_recall).parameters, *signature(answer_plan).parameters}
        require_choice(
            "the name of one of the options", name, known - {"model", "prompts", "options"}
        )
    asked = ("max_new_tokens", "stop", "execution", "progress")
    require_answering(**{name: options[name] for name in asked if name in options})


def _ask(
    model: Bridge,
    prompts: tuple[NeedlePrompt, ...],
    conditions: Mapping[str, Condition],
    record: HeadsLike,
    options: Mapping[str, Any],
    names: Sequence[str],
    places: Sequence[int],
    answered: KeptAnswers,
    report: Callable[[KeptAnswers], None],
) -> dict[tuple[str, int], KeptAnswer]:
    """Answers of the prompts in these places under these conditions; what is answered is kept."""

    def placed(answers: KeptAnswers) -> dict[tuple[str, int], KeptAnswer]:
        return {(name, places[index]): answer for (name, index), answer in answers.items()}

    found = needle_recall(
        model,
        [prompts[place] for place in places],
        {name: conditions[name] for name in names},
        heads=record,
        done={
            (name, index): answered[name, place]
            for name in names
            for index, place in enumerate(places)
            if (name, place) in answered
        },
        on_answers=lambda answers: report(placed(answers)),
        **options,
    )
    return placed(found.kept)


def first_of_each_needle(prompts: Sequence[NeedlePrompt]) -> list[int]:
    """Where the first prompt of each needle stands."""
    first: dict[str, int] = {}
    for place, prompt in enumerate(prompts):
        first.setdefault(prompt.needle.name, place)
    return list(first.values())
