"""Recall against the number of silenced heads: the top K by score beside random controls."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import pandas as pd

from rh_lens.evaluation.ablation_plan import AblationPlan, plan_ablation
from rh_lens.evaluation.kept_answers import KeptAnswer, KeptAnswers
from rh_lens.evaluation.paired import TESTS, PairedAnswers
from rh_lens.evaluation.recall import Metric, RecallResult, needle_recall
from rh_lens.evaluation.statistics import holm
from rh_lens.heads import Head, HeadsLike
from rh_lens.interventions import Match, zero_ablation
from rh_lens.prompts import NeedlePrompt
from rh_lens.representation import cut, html_table
from rh_lens.runtime import Bridge, Condition, FwdHooks, Scope

Operator: TypeAlias = Callable[[Sequence[Head]], FwdHooks]
"""What is done to heads: hooks from heads."""

SetAnswers: TypeAlias = Mapping[tuple[tuple[Head, ...], int], KeptAnswer]
"""Answers by the heads that were silenced, sorted, and the index of the prompt.

They stay what they are when a plan grows, or names its sets in another way.
"""


@dataclass(frozen=True, eq=False)
class AblationCurve:
    """Answers with the top K heads silenced, and with controls silenced, for each K.

    It can be pickled, as far as its operator's hooks can: those of this package can.

    Args:
        recall: All answers, by condition.
        plan: Which heads each condition silences.
        conditions: The hooks themselves, by name, for measuring something else under them.
    """

    recall: RecallResult
    plan: AblationPlan
    conditions: Mapping[str, Condition]

    def __repr__(self) -> str:
        means = self.by_k(self.answers[["condition", "recall"]])
        top = means[means["kind"] != "control"]
        pairs = ", ".join(
            f"{k}: {mean:.2f}" for k, mean in zip(top["k"], top["recall"], strict=True)
        )
        n_controls = sum(heads.kind == "control" for heads in self.plan.sets)
        return (
            f"AblationCurve({len(self.recall.prompts)} prompts; mean recall with the top K "
            f"silenced: {cut(pairs, 120)}; {n_controls} control sets)"
        )

    def _repr_html_(self) -> str:
        return html_table(self.to_dataframe(), repr(self), n_rows=20)

    @property
    def answers(self) -> pd.DataFrame:
        """One row a condition and prompt: the columns of `RecallResult` and `k`, `kind`, `draw`."""
        return self.label(self.recall.answers)

    @property
    def heads(self) -> pd.DataFrame:
        """One row a condition: `condition`, `k`, `kind`, `draw` and the labels of its `heads`."""
        return self.plan.to_dataframe()

    @property
    def kept(self) -> SetAnswers:
        """The answers themselves, for `answer_plan(done=...)` with a plan that has more sets."""
        return _by_heads(self.plan, self.recall.kept)

    def label(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table that has a column `condition`, with `k`, `kind` and `draw` beside it.

        Fits the tables of `classify_errors` and `perplexity` for the same conditions.
        """
        sets = self.heads.drop(columns="heads")
        labelled = table.merge(sets, on="condition", how="left", validate="many_to_one")
        first = list(sets.columns)
        return labelled[first + [name for name in labelled.columns if name not in first]]

    def by_k(self, table: pd.DataFrame) -> pd.DataFrame:
        """Means of a table's number columns for each K, over control draws too.

        Args:
            table: One row a condition and a column `condition`, such as `error_shares` and
                `perplexity` give.

        Returns:
            Columns `kind` ("none", "top", "control"), `k` and the means; the untouched model first.
        """
        labelled = self.label(table).drop(columns=["condition", "draw"])
        means = labelled.groupby(["kind", "k"]).mean(numeric_only=True)
        kinds = [kind for kind in ("none", "top", "control") if kind in means.index]
        return means.loc[kinds].reset_index()

    def to_dataframe(
        self,
        metric: Metric = "recall",
        *,
        level: float = 0.95,
        n_resamples: int = 2000,
        seed: int = 0,
    ) -> pd.DataFrame:
        """One row for each K, with intervals and tests.

        | column | |
        |---|---|
        | `k` | heads silenced; 0 is the untouched model |
        | `top` | mean of the metric with the top K silenced |
        | `top_low`, `top_high` | its bootstrap interval |
        | `control` | mean over control draws |
        | `control_low`, `control_high` | its bootstrap interval |
        | `control_lowest`, `control_highest` | the worst and the best draw |
        | `n_draws`, `n_possible` | distinct control sets drawn, and how many exist |
        | `p_permutation` | share of draws at least as harmful, see `permutation_pvalue` |
        | `p_mcnemar` | McNemar's test on paired prompts: top K against most of the draws |
        | `p_sign` | needles whose mean is lower than under the draws, see `sign_pvalue` |
        | `p_untouched` | McNemar's test: top K against the untouched model |
        | `..._holm` | each test corrected over the Ks by Holm's method |
        | `note` | where controls are missing or few |

        All tests are one-sided: the top K answers less. They ask two questions. `p_permutation`
        is about heads: would other heads do as much harm? With $n$ draws it is $1 / (n + 1)$ at
        least, and after correction over $m$ Ks $m / (n + 1)$. `p_mcnemar` and `p_sign` are about
        prompts: would other prompts show the same difference between these very heads? They take
        the draws as they are, even where only one exists. McNemar's test pairs each prompt's
        answer (`retrieved` for the metric `recall`) with whether more than half of the draws
        answered it; it counts prompts as independent, though prompts of one needle are alike, so
        `p_sign` counts needles instead. Intervals resample needles for the same reason, or prompts
        where there is one needle only.

        What does not exist is NaN: controls at 0, and where no heads match.

        Args:
            metric: "recall", "exact", "contains" or "retrieved".
            level: Share of the resampled means inside an interval.
            n_resamples: Bootstrap resamples.
            seed: Seed of the resampling.

        Raises:
            ValueError: The metric is unknown.
        """
        answers = PairedAnswers.of(
            self.recall.answers, metric, level=level, n_resamples=n_resamples, seed=seed
        )
        rows = []
        for k in self.plan.ks:
            (top,) = self.plan.of(k, "top" if k else "none")
            controls = self.plan.of(k, "control")
            rows.append(
                {
                    "k": k,
                    **answers.band("top", [top]),
                    **answers.band("control", controls),
                    **answers.spread(controls),
                    "n_draws": len(controls),
                    "n_possible": self.plan.n_possible.get(k, 0),
                    **(answers.tests(top, "none", controls) if k else {}),
                }
            )
        table = pd.DataFrame(rows)
        for test in TESTS:
            table[test] = table.get(test, float("nan"))
            table[f"{test}_holm"] = holm(table[test].to_numpy())
        table["note"] = [self.plan.notes.get(k, "") for k in self.plan.ks]
        return table


def ablation_curve(
    model: Bridge,
    prompts: Iterable[NeedlePrompt],
    ranking: HeadsLike,
    *,
    ks: Sequence[int] | None = None,
    operator: Operator | None = None,
    scope: Scope = "both",
    n_controls: int = 10,
    match: Match = "layer",
    exclude: HeadsLike = (),
    seed: int = 0,
    record: HeadsLike = (),
    **options: Any,
) -> AblationCurve:
    """Needle recall against the number of silenced heads, top K by score beside random controls.

    Figure 7 of Wu et al. 2024 (arXiv:2404.15574), with control draws that are seeded, distinct,
    matched and disjoint from the top K, and with tests. With `scope="decode"` each prompt is read
    once for all conditions.

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
        n_controls: Control draws for each K; 0 gives none.
        match: What controls share with the top K besides their number: "layer", "kv-group" or None.
        exclude: Heads that are no controls, such as all retrieval heads. Without it, the controls
            of a small K may hold heads that come next in the ranking.
        seed: Seed of the controls.
        record: Heads whose attention is kept as `recall.activity`.
        options: Further arguments of `needle_recall`, such as `max_new_tokens` or `progress`.

    Raises:
        RuntimeError: A hook was never called: an intervention did not take place.
        TypeError: `model` is not a TransformerBridge.
        ValueError: There is no prompt; the ranking names a head twice or one that the model lacks,
            or has fewer heads than a K.
    """
    plan = plan_ablation(
        model, ranking, ks=ks, n_controls=n_controls, match=match, exclude=exclude, seed=seed
    )
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
        TypeError: `model` is not a TransformerBridge.
        ValueError: There is no prompt, or what is done is of something else.
    """
    prompts = tuple(prompts)
    hooks = operator or partial(zero_ablation, model=model)
    conditions = {
        heads.condition: Condition(hooks(heads.heads) if heads.heads else (), scope)
        for heads in plan.sets
    }
    before = {
        (heads.condition, index): done[place]
        for heads in plan.sets
        for index in range(len(prompts))
        if done and (place := (tuple(sorted(heads.heads)), index)) in done
    }

    def report(answers: KeptAnswers) -> None:
        if on_answers is not None:
            on_answers(_by_heads(plan, answers))

    recall = needle_recall(
        model, prompts, conditions, heads=record, done=before, on_answers=report, **options
    )
    return AblationCurve(recall, plan, conditions)


def _by_heads(plan: AblationPlan, answers: KeptAnswers) -> SetAnswers:
    """Answers by the heads of their conditions."""
    sets = {heads.condition: tuple(sorted(heads.heads)) for heads in plan.sets}
    return {(sets[name], index): answer for (name, index), answer in answers.items()}
