"""What a model answered to a task under conditions, judged."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from rh_lens.checks import require_choice, require_number
from rh_lens.evaluation.intervals import mean_interval
from rh_lens.evaluation.kept_answers import KeptAnswers
from rh_lens.evaluation.paired_answers import PairedAnswers
from rh_lens.evaluation.tasks.task import Task
from rh_lens.heads import Head
from rh_lens.prompts import DocumentPrompt
from rh_lens.representation import cut, html_table


@dataclass(frozen=True, eq=False)
class TaskResult:
    """Answers to a task's items under several conditions.

    Args:
        task: What was asked.
        answers: One row a condition and item, in the order of the conditions, then the items.
            Columns `condition`, `trial` (place of the item), `item` (its id), `document` (its
            unit of statistics), each of the task's scores by name in [0, 1], `answer` (extracted),
            `text` (all that was said), `n_tokens`, `stop_reason`.
        prompts: The prompts, item by item.
        kept: The answers themselves, by condition and place; see `evaluate_task(done=...)`.
        heads: Heads whose attention was recorded in `kept`.
    """

    task: Task
    answers: pd.DataFrame
    prompts: tuple[DocumentPrompt, ...]
    kept: KeptAnswers = field(default_factory=dict)
    heads: tuple[Head, ...] = ()

    def __repr__(self) -> str:
        means = self.answers.groupby("condition", sort=False)[self.task.metric].mean()
        told = ", ".join(f"{name} {mean:.2f}" for name, mean in means.head(6).items())
        more = f" and {len(means) - 6} more" if len(means) > 6 else ""
        return (
            f"TaskResult({self.task.name!r}, {len(self.prompts)} items; mean {self.task.metric}: "
            f"{cut(told, 150)}{more})"
        )

    def _repr_html_(self) -> str:
        return html_table(self.summary(), repr(self), n_rows=20)

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions, in order."""
        return tuple(self.answers["condition"].unique())

    def summary(self, *, level: float = 0.95) -> pd.DataFrame:
        """One row a condition: number of items and documents, and the mean of each score.

        Items of one document are alike: intervals are over documents, see `mean_interval`.

        Args:
            level: Coverage that the intervals aim at.

        Returns:
            Columns `condition`, `n_items`, `n_documents`, and for each score its name, and with
            `_low` and `_high` after it the ends of its interval.

        Raises:
            TypeError: The level is no number.
            ValueError: It is not between 0 and 1.
        """
        rows = []
        for condition in self.conditions:
            own = self.answers[self.answers["condition"] == condition]
            row: dict[str, Any] = {"condition": condition, "n_items": len(own)}
            row["n_documents"] = own["document"].nunique()
            for name in self.task.scores:
                found = mean_interval(own[name].to_numpy(), own["document"].to_list(), level=level)
                row |= found.named(name)
            rows.append(row)
        return pd.DataFrame(rows)

    def paired(self, metric: str | None = None, *, level: float = 0.95) -> PairedAnswers:
        """Values of one score, an item a row and a condition a column, with their documents.

        Args:
            metric: Name of a score; None: the task's first.
            level: Coverage that intervals aim at.

        Raises:
            TypeError: An argument is of another type.
            ValueError: The task has no such score, or the level is not between 0 and 1.
        """
        metric = self.task.metric if metric is None else metric
        require_choice("metric", metric, self.task.scores)
        require_number("level", level, above=0, below=1)
        return PairedAnswers(
            values=self.answers.pivot(index="item", columns="condition", values=metric),
            needles=self.answers.groupby("item")["document"].first(),
            metric=metric,
            level=level,
        )

    def to_dataframe(self) -> pd.DataFrame:
        """A copy of `answers`."""
        return self.answers.copy()


def result_of(
    task: Task, prompts: Sequence[DocumentPrompt], kept: KeptAnswers, heads: Sequence[Head] = ()
) -> TaskResult:
    """Kept answers, judged, in their order; not every condition needs all items.

    Args:
        task: What was asked.
        prompts: Its prompts, item by item.
        kept: Answers by condition and place of the item.
        heads: Heads whose attention was recorded.
    """
    rows = []
    for (condition, place), answer in kept.items():
        item, said = task.items[place], answer.generation
        rows.append(
            {"condition": condition, "trial": place, "item": item.id, "document": item.unit}
            | task.judge(said.text, item)
            | {"text": said.text, "n_tokens": len(said.tokens), "stop_reason": said.stop_reason}
        )
    order = ["condition", "trial", "item", "document", *task.scores]
    columns = [*order, "answer", "text", "n_tokens", "stop_reason"]
    return TaskResult(
        task, pd.DataFrame(rows, columns=columns), tuple(prompts), dict(kept), tuple(heads)
    )
