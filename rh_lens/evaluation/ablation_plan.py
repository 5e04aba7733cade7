"""Which heads a curve silences: the top K by score, controls beside them, rankings to test by."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import pandas as pd

from rh_lens.heads import Head
from rh_lens.interventions import Family
from rh_lens.representation import short_repr

Kind: TypeAlias = Literal["none", "top", "control", "drawn"]


@dataclass(frozen=True)
class HeadSet:
    """Heads that are silenced together, and what for.

    Args:
        condition: Name of the condition that silences them. Equal sets share the name of the first
            one, and are silenced once.
        k: How many.
        kind: "none": the untouched model. "top": the first k of the ranking. "control": random and
            disjoint from these. "drawn": the first k of a ranking that could have been.
        match: What a control shares with the top K, "any" for nothing; None for the other kinds.
        draw: Number of the draw, from 0; None for the untouched model and the top K.
        heads: The heads.
    """

    condition: str
    k: int
    kind: Kind
    match: str | None
    draw: int | None
    heads: tuple[Head, ...]


@dataclass(frozen=True)
class AblationPlan:
    """Sets of heads to silence, one after the other.

    Args:
        sets: The untouched model first; then for each K the top K and its controls; then the drawn
            rankings, one after the other.
        n_possible: Distinct control sets that exist, by K and match; None where they are not
            counted.
        notes: What is to be said about the controls of a K and match; only where there is
            something.
        family: Inside what the rankings' heads were exchanged.
        n_rankings: Rankings drawn.
        n_planned: Rankings at most; fewer are drawn where they settle the test early.
        n_other_rankings: Rankings that exist besides the one in question.
        n_family: Distinct sets of K heads in the family, the top K among them, by K.
        balance: Traits of the top K and of its controls, by K and match; empty without traits.
    """

    sets: tuple[HeadSet, ...]
    n_possible: dict[tuple[int, str], int | None]
    notes: dict[tuple[int, str], str]
    family: Family = "layer"
    n_rankings: int = 0
    n_planned: int = 0
    n_other_rankings: int = 0
    n_family: dict[int, int] = field(default_factory=dict)
    balance: dict[tuple[int, str], dict[str, float]] = field(default_factory=dict)

    __repr__ = short_repr

    @property
    def ks(self) -> tuple[int, ...]:
        """Numbers of heads, ascending, 0 included."""
        return tuple(sorted({heads.k for heads in self.sets}))

    @property
    def matches(self) -> tuple[str, ...]:
        """What controls were matched by, in the order asked for."""
        return tuple(dict.fromkeys(match for _, match in self.n_possible))

    @property
    def smallest_pvalue(self) -> float:
        """What the test of the heads can reach with all rankings; 1 without any."""
        return 1 / (self.n_planned + 1)

    def of(self, k: int, kind: Kind, match: str | None = None) -> list[str]:
        """Names of the conditions of one kind (and match) that silence k heads, draw by draw."""
        return [
            heads.condition
            for heads in self.sets
            if (heads.k, heads.kind) == (k, kind) and match in (None, heads.match)
        ]

    def heads_of(self, kinds: Sequence[Kind]) -> dict[str, tuple[Head, ...]]:
        """The heads of each condition that sets of these kinds need, each condition once."""
        return {heads.condition: heads.heads for heads in self.sets if heads.kind in kinds}

    def first_rankings(self, n: int) -> "AblationPlan":
        """The plan with the first n of its drawn rankings."""
        kept = tuple(
            heads
            for heads in self.sets
            if heads.kind != "drawn" or (heads.draw is not None and heads.draw < n)
        )
        return replace(self, sets=kept, n_rankings=min(n, self.n_rankings))

    def to_dataframe(self) -> pd.DataFrame:
        """One row a set: `condition`, `k`, `kind`, `match`, `draw` and `heads`.

        `heads` holds labels with spaces between them. Rows of equal sets share a condition.
        """
        table = pd.DataFrame(
            {
                "condition": [heads.condition for heads in self.sets],
                "k": [heads.k for heads in self.sets],
                "kind": [heads.kind for heads in self.sets],
                "match": [heads.match for heads in self.sets],
                "draw": [heads.draw for heads in self.sets],
                "heads": [" ".join(head.label for head in heads.heads) for heads in self.sets],
            }
        )
        return table.astype({"draw": "Int64", "match": "string"})
