"""When heads get their scores: every head at several moments of a model's training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_choice, require_number, require_table, require_whole_number
from rh_lens.heads import Head
from rh_lens.representation import html_table

HEAD_VALUES = ("score", "forced", "induction")
"""What is known of each head at each moment."""

MOMENT_VALUES = ("step", "tokens", "recall", "exact", "n_prompts", "n_accepted")
"""What is known of each moment, beside its name."""

_COLUMNS = ("moment", "step", "tokens", "layer", "head", *HEAD_VALUES, *MOMENT_VALUES[2:])


@dataclass(frozen=True, eq=False)
class Moment:
    """Scores of every head at one moment of a model's training.

    Args:
        name: Of the moment, such as a revision.
        step: Optimiser steps done; NaN where that is not known.
        tokens: Tokens trained on; NaN where that is not known.
        score: Position score, mean over accepted trials; NaN where no answer was right.
        forced: Teacher-forced copy, mean over all trials: another estimand than `score`, which
            needs no right answer.
        induction: Prefix matching on repeated random tokens.
        recall: Mean recall of the answers, over all trials.
        exact: Share of the answers that are the needle's, letter for letter; spaces around them and
            a full stop at their end don't count.
        n_prompts: Trials.
        n_accepted: Of these, those that `score` averages.
    """

    name: str
    step: float
    tokens: float
    score: Float[Tensor, "layer head"]
    forced: Float[Tensor, "layer head"]
    induction: Float[Tensor, "layer head"]
    recall: float
    exact: float
    n_prompts: int
    n_accepted: int

    def __repr__(self) -> str:
        return (
            f"Moment({self.name!r}: recall {self.recall:.2f}, {self.n_accepted} of "
            f"{self.n_prompts} accepted)"
        )


@dataclass(frozen=True, eq=False)
class Emergence:
    """Scores of every head at several moments of a model's training, in their order.

    Args:
        moments: One or more, all of one shape.
        failed: Moments that could not be scored, by name, and why.
    """

    moments: tuple[Moment, ...]
    failed: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        n_layers, n_heads = self.moments[0].score.shape
        lost = f"; failed: {len(self.failed)}" if self.failed else ""
        return (
            f"Emergence({len(self.moments)} moments, {n_layers} layers of {n_heads} heads; recall "
            f"{self.moments[0].recall:.2f} to {self.moments[-1].recall:.2f}{lost})"
        )

    def _repr_html_(self) -> str:
        return html_table(self.moment_table(), f"{len(self.moments)} moments of a training")

    def values(self, name: str = "score") -> Float[Tensor, "moment layer head"]:
        """One of "score", "forced" and "induction" at all moments.

        Raises:
            TypeError: The name is no text.
            ValueError: It is none of these.
        """
        require_choice("name", name, HEAD_VALUES)
        return torch.stack([getattr(moment, name) for moment in self.moments])

    def top(self, k: int = 5) -> list[Head]:
        """The k heads with the highest score at any moment, best first.

        Raises:
            TypeError: k is no whole number.
            ValueError: It is below 1.
        """
        require_whole_number("k", k, at_least=1, remedy="Ask for one head or more.")
        highest = self.values().nan_to_num(nan=-1.0).amax(dim=0)
        order = highest.flatten().argsort(descending=True, stable=True)[:k].tolist()
        return [Head(place // highest.shape[1], place % highest.shape[1]) for place in order]

    def moment_table(self) -> pd.DataFrame:
        """One row a moment: its name, step, tokens, recall, exact, n_prompts and n_accepted."""
        rows = [[one.name, *(getattr(one, n) for n in MOMENT_VALUES)] for one in self.moments]
        return pd.DataFrame(rows, columns=["moment", *MOMENT_VALUES])

    def to_dataframe(self) -> pd.DataFrame:
        """One row a moment and head; what is known of the moment stands in each of its rows.

        Returns:
            Columns `moment`, `step`, `tokens`, `layer`, `head`, `score`, `forced`, `induction`,
            `recall`, `exact`, `n_prompts` and `n_accepted`.
        """
        tables = []
        for moment in self.moments:
            layer, head = np.indices(moment.score.shape)
            cells: dict[str, Any] = {"layer": layer.ravel(), "head": head.ravel()}
            cells |= {name: getattr(moment, name).flatten().numpy() for name in HEAD_VALUES}
            cells |= {name: getattr(moment, name) for name in MOMENT_VALUES}
            tables.append(pd.DataFrame(cells | {"moment": moment.name})[list(_COLUMNS)])
        return pd.concat(tables, ignore_index=True)

    def appearances(self, threshold: float = 0.1) -> pd.DataFrame:
        """When each head first had a score, and what became of it.

        Args:
            threshold: Score from which on a head has it.

        Returns:
            One row a head, the highest last score first: `layer`, `head`, `label`; for each of
            score, forced and induction the moment when it first was `threshold` or more (missing
            where it never was), its highest value and its last one.

        Raises:
            TypeError: The threshold is no number.
            ValueError: It is not finite.
        """
        require_number("threshold", threshold)
        names = [moment.name for moment in self.moments]
        n_layers, n_heads = self.moments[0].score.shape
        values = {name: self.values(name).numpy() for name in HEAD_VALUES}
        rows = []
        for layer, head in np.ndindex(n_layers, n_heads):
            row: dict[str, Any] = {"layer": layer, "head": head, "label": Head(layer, head).label}
            for name, table in values.items():
                line = table[:, layer, head]
                first = np.flatnonzero(line >= threshold)
                row[f"{name}_from"] = names[first[0]] if len(first) else None
                row[f"{name}_highest"] = _highest(line)
                row[f"{name}_last"] = line[-1]
            rows.append(row)
        return pd.DataFrame(rows).sort_values(
            ["score_last", "forced_last"], ascending=False, kind="stable", ignore_index=True
        )


def emergence_of(table: pd.DataFrame) -> Emergence:
    """The moments of a table: what `Emergence.to_dataframe` gave, read from a file say.

    Args:
        table: Its columns; moments are in the order in which they first come.

    Raises:
        TypeError: It is no table.
        ValueError: It lacks a column, has other things than numbers or no row, or a moment lacks a
            head.

    Examples:
        >>> from rh_lens.runs import score_moment
        >>> table = Emergence((score_moment(model, prompts[:2], name="last"),)).to_dataframe()
        >>> emergence_of(table)
        Emergence(1 moments, 4 layers of 8 heads; recall 1.00 to 1.00)
    """
    require_table("table", table, _COLUMNS, remedy="Take it from Emergence.to_dataframe().")
    odd = [one for one in _COLUMNS[1:] if not pd.api.types.is_numeric_dtype(table[one])]
    if odd:
        raise ValueError(
            f"Expected table to have numbers in its columns; found none in {odd}. Take it from "
            "Emergence.to_dataframe()."
        )
    if table.empty:
        raise ValueError(
            "Expected table to have rows; found none. Take it from Emergence.to_dataframe()."
        )
    shape = int(table["layer"].max()) + 1, int(table["head"].max()) + 1
    groups = table.groupby("moment", sort=False)
    return Emergence(tuple(_moment(str(name), rows, shape) for name, rows in groups))


def _moment(name: str, rows: pd.DataFrame, shape: tuple[int, int]) -> Moment:
    places = rows["layer"].to_numpy() * shape[1] + rows["head"].to_numpy()
    if sorted(places.tolist()) != list(range(shape[0] * shape[1])):
        raise ValueError(
            f"Expected table to have each of {shape[0]} layers of {shape[1]} heads once at moment "
            f"{name[:80]!r}; found {len(rows)} rows. Take it whole from Emergence.to_dataframe()."
        )
    order = places.argsort()
    first = rows.iloc[0]
    known: dict[str, Any] = {column: float(first[column]) for column in MOMENT_VALUES}
    known |= {column: int(known[column]) for column in ("n_prompts", "n_accepted")}
    for column in HEAD_VALUES:
        values = rows[column].to_numpy(dtype=float)[order]
        known[column] = torch.tensor(values).reshape(shape)
    return Moment(name=name, **known)


def _highest(line: Any) -> float:
    known = [float(value) for value in line if value == value]
    return max(known, default=float("nan"))
