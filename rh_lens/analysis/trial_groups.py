"""Score tables seen by needle, length and depth: their trials, and means over groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import require_list, require_type, shown
from rh_lens.detection import (
    RetrievalResult,
    RetrievalScores,
    exact_mean,
    require_scores,
    trial_table,
)

CELL = ("context_length", "requested_depth")
"""Columns of a trial table that name a cell of the grid."""


ScoresLike = RetrievalScores | RetrievalResult
"""Scores, or the detection run that they are of."""


def scores_of(scores: ScoresLike) -> RetrievalScores:
    """The scores themselves.

    Raises:
        TypeError: It is neither scores nor a run.
    """
    if isinstance(scores, RetrievalResult):
        return scores.scores
    require_scores(scores)
    return scores


def scored_trials(
    scores: ScoresLike, trials: pd.DataFrame | None
) -> tuple[RetrievalScores, pd.DataFrame]:
    """Scores and the table of their trials, which a run brings with it.

    Raises:
        TypeError: It is neither scores nor a run, or scores come without a table.
    """
    if trials is None and isinstance(scores, RetrievalResult):
        trials = trial_table(scores.accepted)
    remedy = "Make it with trial_table(result.trials), or pass the result in place of its scores."
    require_type("trials", trials, pd.DataFrame, remedy=remedy)
    return scores_of(scores), cast(pd.DataFrame, trials)


def trials_of(
    scores: RetrievalScores, trials: pd.DataFrame, columns: Sequence[str]
) -> pd.DataFrame:
    """Rows of the scored trials, in the order of the scores.

    Args:
        scores: Scores of some trials.
        trials: One row a trial with the columns `trial` and `columns`, from `trial_table` or the
            trials of a stored run; other rows and columns are left out.
        columns: Columns to keep.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A column or a trial is missing, or a trial has two rows.
    """
    require_scores(scores)
    require_type("trials", trials, pd.DataFrame, remedy="Make it with trial_table(result.trials).")
    columns = require_list("by", columns, str, remedy="Name columns of the table of trials.")
    missing = [name for name in ("trial", *columns) if name not in trials.columns]
    if missing:
        raise ValueError(
            f"Expected trials with the columns {shown(['trial', *columns])}; found "
            f"{shown(list(trials.columns), 200)}, without {shown(missing)}. Make the table with "
            "trial_table(result.trials)."
        )
    indexed = trials.set_index("trial")
    found = indexed.index.isin(scores.trials)
    if indexed.index[found].has_duplicates or found.sum() < len(set(scores.trials)):
        raise ValueError(
            f"Expected one row for each of the {len(scores.trials)} scored trials; found "
            f"{int(found.sum())} rows of them. Pass the table of the run that the scores are from."
        )
    return indexed.loc[list(scores.trials), list(columns)].reset_index(drop=True)


@dataclass(frozen=True, eq=False)
class Groups:
    """Trials in groups that share a value in some columns.

    Args:
        code: Group of each trial.
        names: Value of each group, sorted; a tuple where several columns name it.
    """

    code: Int[np.ndarray, " trial"]
    names: tuple[Any, ...]

    @property
    def n(self) -> int:
        """Number of groups."""
        return len(self.names)


def group_trials(table: pd.DataFrame, by: Sequence[str]) -> Groups:
    """Trials of a table in groups with equal values in the columns `by`."""
    grouped = table.groupby(list(by) if len(by) > 1 else by[0], sort=True)
    code = grouped.ngroup().to_numpy(dtype=np.int64, copy=True)
    return Groups(code, tuple(name for name, _ in grouped))


def group_means(
    values: Float[Tensor, " trial *heads"], groups: Groups
) -> tuple[Float[Tensor, " group *heads"], Int[Tensor, " group *heads"]]:
    """Exact mean of each group over the trials that are not NaN, and how many those are.

    A group without any is NaN.
    """
    code = torch.from_numpy(groups.code)
    members = [values[code == group] for group in range(groups.n)]
    count = torch.stack([(~one.isnan()).sum(dim=0) for one in members])
    return torch.stack([exact_mean(one) for one in members]), count
