"""Recall against the number of silenced heads: top K, controls beside them, rankings to test by."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import pandas as pd

from rh_lens.checks import require_number, require_table
from rh_lens.evaluation.ablation_plan import AblationPlan
from rh_lens.evaluation.curve_tables import controls_table, curve_table
from rh_lens.evaluation.kept_answers import KeptAnswer
from rh_lens.evaluation.paired_answers import PairedAnswers
from rh_lens.evaluation.recall import Metric, RecallResult
from rh_lens.heads import Head
from rh_lens.representation import cut, html_table
from rh_lens.runtime import Condition

SetAnswers: TypeAlias = Mapping[tuple[tuple[Head, ...], int], KeptAnswer]
"""Answers by the heads that were silenced, sorted, and the index of the prompt.

They stay what they are when a plan grows, or names its sets in another way.
"""

SetLosses: TypeAlias = Mapping[tuple[tuple[Head, ...], int], float]
"""Losses of a text by the heads that were silenced, sorted, and the index of the window."""
_Found = TypeVar("_Found")


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
        """One row a condition and prompt: the columns of `label` and of `RecallResult`."""
        return self.label(self.recall.answers)

    @property
    def heads(self) -> pd.DataFrame:
        """One row a set: `condition`, `k`, `kind`, `match`, `draw` and its `heads`, as labels."""
        return self.plan.to_dataframe()

    @property
    def kept(self) -> SetAnswers:
        """The answers themselves, for `answer_plan(done=...)` with a plan that has more sets."""
        return by_heads(self.plan, self.recall.kept)

    @property
    def compared(self) -> Mapping[str, Condition]:
        """The conditions of the untouched model, the top K and the controls: no drawn rankings."""
        names = self.plan.heads_of(["none", "top", "control"])
        return {name: self.conditions[name] for name in names}

    def label(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table with a column `condition`, and `k`, `kind`, `match` and `draw` beside it.

        Fits the tables of `classify_errors` and `perplexity` for the same conditions. A condition
        that serves several sets is labelled by the first.

        Raises:
            TypeError: It is no table.
            ValueError: It has no column `condition`.
        """
        _require_conditions(table)
        sets = self.heads.drop(columns="heads").drop_duplicates("condition")
        labelled = table.merge(sets, on="condition", how="left", validate="many_to_one")
        first = list(sets.columns)
        return labelled[first + [name for name in labelled.columns if name not in first]]

    def by_k(self, table: pd.DataFrame) -> pd.DataFrame:
        """Means of a table's number columns for each K, over control draws too.

        Args:
            table: One row a condition and a column `condition`, such as `error_shares` and
                `perplexity` give.

        Returns:
            Columns `kind` ("none", "top", "control"), `k`, `match` (missing but for controls) and
            the means; the untouched model first.

        Raises:
            TypeError: It is no table.
            ValueError: It has no column `condition`.
        """
        _require_conditions(table)
        sets = self.heads[self.heads["kind"] != "drawn"].drop(columns=["heads", "draw"])
        beside = sets.merge(table, on="condition").drop(columns="condition")
        places = {kind: place for place, kind in enumerate(("none", "top", "control"))}
        means = beside.groupby(["kind", "k", "match"], sort=False, dropna=False).mean(
            numeric_only=True
        )
        means = means.reset_index()
        return means.sort_values(
            ["kind", "k"], key=lambda column: column.replace(places), kind="stable"
        ).reset_index(drop=True)

    def to_dataframe(self, metric: Metric = "recall", *, level: float = 0.95) -> pd.DataFrame:
        """One row for each K: the top K, what it changes, and tests. Needles are the unit.

        | column | |
        |---|---|
        | `k` | heads silenced; 0 is the untouched model |
        | `top`, `top_low`, `top_high` | mean of the metric, and its `mean_interval` |
        | `change`, ... | top K minus untouched model, and its `difference_interval` |
        | `p_untouched` | over needles: the top K answer less than the untouched model |
        | `p_heads` | over heads: the top K do more harm than heads drawn in their place |
        | `n_sets` | sets of K heads in the family, the top K among them |
        | `p_curve` | over heads: the same of the whole curve, in every row |
        | `p_smallest` | smallest value that `p_curve` and `p_heads` can have |
        | `n_rankings`, `n_other_rankings` | rankings drawn, and how many exist |
        | `n_needles`, `n_prompts` | what the means rest on |
        | `metric`, `level` | what the means are of, and what the intervals aim at |

        All p-values are one-sided, and ask two questions. `p_untouched` (`sign_flip_pvalue`, not
        corrected over the Ks) is about needles: would other needles show that these very heads
        matter? `p_curve` and `p_heads` are about heads, with the prompts as they are: if a head's
        place in its layer (or other `family`) did not matter, how often would a ranking be as
        harmful as the one in question? Each drawn ranking is silenced at all Ks; `p_curve` compares
        the mean over the Ks, the area between the curves (`sequential_pvalue`), and `p_heads` each
        K, corrected over all of them (`step_down_pvalues`). Where draws ended early, nothing is
        significant at 0.05.

        What does not exist is NaN: tests at 0, and tests of heads without rankings. Where `n_sets`
        is 1, whole layers are silenced, and no other heads could be.

        Args:
            metric: "recall", "exact", "contains" or "retrieved".
            level: Coverage that the intervals aim at.

        Raises:
            TypeError: An argument is of another type.
            ValueError: The metric is unknown.
        """
        return curve_table(self.plan, PairedAnswers.of(self.recall.answers, metric, level=level))

    def controls_to_dataframe(
        self, metric: Metric = "recall", *, level: float = 0.95, margin: float = 0.1
    ) -> pd.DataFrame:
        """One row for each K and kind of control: what other heads do, side by side.

        | column | |
        |---|---|
        | `k`, `match` | heads silenced, and what the controls share with the top K |
        | `control`, `control_low`, `control_high` | mean over draws and prompts, its interval |
        | `control_lowest`, `control_highest` | means of the worst and the best draw |
        | `difference`, ... | top K minus controls, and its `difference_interval` |
        | `p_equivalent` | `equivalence_pvalue`: the controls change less than `margin` |
        | `n_draws`, `n_possible` | sets drawn, and how many exist (missing for neighbours) |
        | `norm`, `control_norm` | mean output norm of the top K and of the controls |
        | `entropy`, `control_entropy` | mean attention entropy in nats |
        | `level`, `margin` | of the intervals, and of `p_equivalent` |
        | `note` | where controls are missing or few |

        Controls are disjoint from the top K. That makes them a clear comparison, and no test: see
        `to_dataframe` for one. With several draws, draws and needles are crossed random effects;
        one draw is compared with as it is.

        Args:
            metric: "recall", "exact", "contains" or "retrieved".
            level: Coverage that the intervals aim at.
            margin: Largest change that does not matter, for `p_equivalent`.

        Raises:
            TypeError: An argument is of another type.
            ValueError: The metric is unknown, or the margin is not between 0 and 1.
        """
        require_number("margin", margin, above=0, below=1)
        answers = PairedAnswers.of(self.recall.answers, metric, level=level)
        return controls_table(self.plan, answers, margin=margin)


def _require_conditions(table: pd.DataFrame) -> None:
    remedy = "Take one such as classify_errors, error_shares or perplexity make."
    require_table("table", table, ("condition",), remedy=remedy)


def by_heads(
    plan: AblationPlan, found: Mapping[tuple[str, int], _Found]
) -> dict[tuple[tuple[Head, ...], int], _Found]:
    """What was found, such as answers, by the heads of its conditions."""
    sets = {heads.condition: tuple(sorted(heads.heads)) for heads in plan.sets}
    return {(sets[name], index): one for (name, index), one in found.items()}
