"""Does silencing hurt one way of asking more than another? Difference-in-differences."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rh_lens.checks import require_choice, require_number, require_type
from rh_lens.evaluation.ablation_plan import AblationPlan
from rh_lens.evaluation.curve_tables import NAN, curve_table
from rh_lens.evaluation.paired_answers import PairedAnswers
from rh_lens.evaluation.permutation import sign_flip_pvalue
from rh_lens.evaluation.tasks.curve import TaskCurve
from rh_lens.evaluation.tasks.two_changes import (
    Change,
    changes_equivalence_pvalue,
    difference_of_changes,
)


def difference_in_differences(
    first: TaskCurve,
    second: TaskCurve,
    *,
    metric: str | None = None,
    level: float = 0.95,
    margin: float = 0.05,
) -> pd.DataFrame:
    r"""Does silencing heads hurt one way of asking more than another, on the same items?

    For each item $i$ and K, $\delta_i = (f_i^K - f_i^0) - (s_i^K - s_i^0)$ with $f$ and $s$ the
    scores of the first and the second way; negative where the first loses more. Chain-of-thought
    against answer-only is the comparison of section 4.3 of Wu et al. 2024 (arXiv:2404.15574).
    Documents are the unit. Intervals join those of the two changes (`difference_of_changes`); tests
    are those of `TaskCurve.to_dataframe`, on $(f_i - s_i + 1) / 2$.

    | column | |
    |---|---|
    | `k` | heads silenced |
    | `first_change`, `second_change` | mean change of each way |
    | `difference`, `difference_low`, `difference_high` | mean of $\delta$ and its interval |
    | `p_first`, `p_second` | over documents: the first (the second) loses more; one-sided |
    | `p_heads` | over heads: more so than with heads drawn in their place; see `TaskCurve` |
    | `p_equivalent` | the two changes differ by less than `margin` |
    | `control`, `control_low`, `control_high` | mean of $\delta$ with the controls silenced |
    | `n_draws` | control sets, of all kinds |
    | `n_items`, `n_documents`, `metric`, `level`, `margin` | what it rests on |

    Args:
        first: From `task_curve`, such as with chain-of-thought.
        second: The same items, heads and draws, asked in another way, such as answer-only.
        metric: Name of a score that both tasks have; None: the first one's first.
        level: Coverage that the intervals aim at.
        margin: Largest difference that does not matter, for `p_equivalent`.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The curves share no item or no heads, have no such score, or a number is not
            between 0 and 1.

    Examples:
        >>> row = {"context": "The key is here.", "question": "Where is it?", "answers": "here"}
        >>> rows = [row] * 2
        >>> task = load_own(rows)
        >>> choices = {"ks": [4], "n_controls": 0, "n_rankings": 1, "progress": False}
        >>> direct = task_curve(model, task, heads, **choices)
        >>> found = difference_in_differences(direct, task_curve(model, task, heads, **choices))
        >>> found[["k", "difference"]]
           k  difference
        0  4         0.0
    """
    for name, curve in {"first": first, "second": second}.items():
        require_type(name, curve, TaskCurve, remedy="Take it from task_curve.")
    require_number("margin", margin, above=0, below=1)
    metric = first.result.task.metric if metric is None else metric
    shared = [name for name in first.result.task.scores if name in second.result.task.scores]
    require_choice("metric", metric, shared)
    one, two = (c.result.paired(metric, level=level) for c in (first, second))
    plan = min((first.plan, second.plan), key=lambda plan: plan.n_rankings)
    both = PairedAnswers(_joined(first, one, two), one.needles, metric, level)
    told = {"metric": metric, "level": level, "margin": margin}
    tests = curve_table(plan, both)
    return pd.DataFrame(
        [
            _row(row, plan, _Items(one, two, both), margin) | told
            for row in tests[tests["k"] > 0].to_dict("records")
        ]
    )


@dataclass(frozen=True, eq=False)
class _Items:
    """Scores of the same items, asked in one way and in the other, and both joined."""

    one: PairedAnswers
    two: PairedAnswers
    both: PairedAnswers

    @property
    def documents(self) -> list[str]:
        return self.both.needles.loc[self.both.values.index].tolist()

    def changes(self, conditions: list[str]) -> tuple[Change, Change]:
        """Scores under conditions, which are draws, and without, of both ways."""
        tables = [way.values.loc[self.both.values.index] for way in (self.one, self.two)]
        first, second = (
            (table[conditions].to_numpy().T, table["none"].to_numpy()) for table in tables
        )
        return first, second


def _row(
    row: Mapping[Any, Any], plan: AblationPlan, items: _Items, margin: float
) -> dict[str, Any]:
    """What silencing the top K does to each way, and to the difference of both."""
    (top,) = plan.of(row["k"], "top")
    first, second = items.changes([top])
    names, level = items.documents, items.both.level
    values = items.both.values
    controls = plan.of(row["k"], "control")
    found: dict[str, Any] = {
        "k": row["k"],
        "first_change": float((first[0][0] - first[1]).mean()),
        "second_change": float((second[0][0] - second[1]).mean()),
        **difference_of_changes(first, second, names, level=level).named("difference"),
        "p_first": row["p_untouched"],
        "p_second": sign_flip_pvalue((values["none"] - values[top]).to_numpy(), names),
        "p_heads": row["p_heads"],
        "p_equivalent": changes_equivalence_pvalue(first, second, names, margin=margin),
        **dict.fromkeys(("control", "control_low", "control_high"), NAN),
        "n_draws": len(controls),
        "n_items": len(values),
        "n_documents": len(set(names)),
    }
    if controls:
        beside = difference_of_changes(*items.changes(controls), names, level=level)
        found |= beside.named("control")
    return found


def _joined(first: TaskCurve, one: PairedAnswers, two: PairedAnswers) -> pd.DataFrame:
    """Half of the difference of both ways and one, in [0, 1], for what both have answered."""
    items = [item for item in one.values.index if item in two.values.index]
    sets = [name for name in one.values.columns if name in two.values.columns]
    heads = first.plan.heads_of(["none", "top"])
    if not items or not set(heads) <= set(sets):
        raise ValueError(
            f"Expected two curves of the same items and heads; found {len(items)} common items "
            f"and {len(sets)} common conditions. Make both with the same ranking, ks and seed, and "
            "give the items the same ids."
        )
    gap = one.values.loc[items, sets] - two.values.loc[items, sets]
    return (gap + 1) / 2
