"""Claims of the paper, each beside what this model gives, and whether it holds here."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import pandas as pd

from rh_lens.checks import (
    require_list,
    require_number,
    require_text,
    require_type,
    require_whole_number,
    shown,
)

Verdict: TypeAlias = Literal["holds", "does not hold", "undecided"]
"""What an interval or a p-value says about a claim."""

UNDECIDED: Verdict = "undecided"


@dataclass(frozen=True)
class Claim:
    r"""One claim of a paper about retrieval heads, and what this model says of it.

    The verdict rests on an interval or on p-values, never on the estimate alone:

    - *By interval*, where `region` is given: it holds if the whole interval `[low, high]` is inside
      the region, does not hold if the whole interval is outside, and is undecided otherwise. With
      an interval of level 0.95 a claim whose truth lies on the region's edge is said to hold in
      2.5 % of samples at most.
    - *By p-values*, where `p_for` or `p_against` is given: it holds if a test of "the claim is
      wrong" is refused (`p_for` $\le \alpha$), does not hold if a test of "the claim is right" is
      (`p_against` $\le \alpha$), and is undecided if neither is, or both are. That a difference was
      not found decides nothing: "no effect" needs an equivalence test (`equivalence_pvalue`).
    - Without any of them, or with a NaN where a number is needed, it is undecided; `against` says
      why it was not measured.

    Each verdict keeps its own level: of twenty wrong claims one is said to hold by chance.

    Args:
        name: A word to know it by, such as `sparse`.
        statement: What is claimed, as a sentence about the model.
        paper: What the paper gives, with its number.
        place: Where the paper says so, such as `section 3.1`; of arXiv:2404.15574 unless it names
            another.
        value: This model's number; NaN if it was not measured.
        what: What the number is, such as `share of heads with a score of 0.1 or more`.
        command: The command that gives it.
        against: What speaks against the claim, or against the measurement.
        low: Lower end of the interval; NaN without one.
        high: Upper end.
        region: Values that make the claim true, from and to, both included; None decides by
            p-values.
        p_for: P-value of the test whose null hypothesis is that the claim is wrong.
        p_against: P-value of the test whose null hypothesis is that the claim is right.
        level: Coverage of the interval; $\alpha$ is 1 - level.
        n: How many of the unit it rests on; 0 if it was not measured.
        unit: What is counted, such as `needle`.

    Raises:
        TypeError: A value is of another type.
        ValueError: A text is blank, the ends are in the wrong order or do not hold the value, a
            p-value is outside [0, 1], or both ways to decide are given.
    """

    name: str
    statement: str
    paper: str
    place: str
    value: int | float
    what: str
    command: str
    against: str
    low: int | float = math.nan
    high: int | float = math.nan
    region: tuple[int | float, int | float] | None = None
    p_for: int | float | None = None
    p_against: int | float | None = None
    level: float = 0.95
    n: int = 0
    unit: str = "needle"

    def __post_init__(self) -> None:
        for name in ("name", "statement", "paper", "place", "what", "command", "against", "unit"):
            require_text(name, getattr(self, name))
        require_number("level", self.level, above=0, below=1)
        require_whole_number("n", self.n, at_least=0)
        _require_ordered("low, value, high", (self.low, self.value, self.high))
        if self.region is not None:
            _require_region(self.region)
        for name in ("p_for", "p_against"):
            value = getattr(self, name)
            if value is not None and not _is_nan(value):
                require_number(name, value, at_least=0, at_most=1)
        if self.region is not None and (self.p_for, self.p_against) != (None, None):
            raise ValueError(
                f"Expected an interval's region or p-values in claim {self.name!r}; found both. "
                "Decide by one of them."
            )

    @property
    def verdict(self) -> Verdict:
        """Whether it holds for this model: `holds`, `does not hold` or `undecided`."""
        if self.region is not None:
            return _by_interval(self.low, self.high, self.region)
        alpha = 1 - self.level
        holds = self.p_for is not None and self.p_for <= alpha
        fails = self.p_against is not None and self.p_against <= alpha
        if holds == fails:
            return UNDECIDED
        return "holds" if holds else "does not hold"

    @property
    def is_measured(self) -> bool:
        """Whether there is a number of this model at all."""
        return not math.isnan(self.value)


def unmeasured_claim(
    name: str, statement: str, *, paper: str, place: str, what: str, command: str, why: str
) -> Claim:
    """A claim that was not looked into: undecided, with the reason in place of objections.

    Args:
        name: A word to know it by.
        statement: What is claimed.
        paper: What the paper gives.
        place: Where it says so.
        what: What would be measured.
        command: The command that would give it.
        why: Why it was not measured.

    Raises:
        TypeError: A value is no text.
        ValueError: A text is blank.

    Examples:
        >>> where = {"paper": "r = 0.9", "place": "section 4", "what": "correlation"}
        >>> where |= {"command": "rh-lens evaluate", "why": "no time"}
        >>> claim = unmeasured_claim("tasks", "Tasks suffer", **where)
        >>> claim.verdict, claim.against
        ('undecided', 'no time')
    """
    return Claim(name, statement, paper, place, math.nan, what, command, why)


def claims_table(claims: Iterable[Claim]) -> pd.DataFrame:
    """One row a claim, in the order given.

    Columns: `claim` (its name), `statement`, `place`, `paper`, `what`, `value`, `low`, `high`,
    `level`, `p_for`, `p_against` (NaN where the verdict does not rest on them), `n`, `unit`,
    `verdict`, `command`, `against`.

    Raises:
        TypeError: Something else than a claim is among them.

    Examples:
        >>> claims_table(claims_of_scores(result))[["claim", "value", "verdict"]].head(3)
               claim    value        verdict
        0  universal  4.00000          holds
        1     sparse  0.12500  does not hold
        2     silent  0.71875      undecided
    """
    rows = [
        {
            "claim": one.name,
            "statement": one.statement,
            "place": one.place,
            "paper": one.paper,
            "what": one.what,
            "value": one.value,
            "low": one.low,
            "high": one.high,
            "level": one.level,
            "p_for": math.nan if one.p_for is None else one.p_for,
            "p_against": math.nan if one.p_against is None else one.p_against,
            "n": one.n,
            "unit": one.unit,
            "verdict": one.verdict,
            "command": one.command,
            "against": one.against,
        }
        for one in require_list("claims", claims, Claim)
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


_COLUMNS = (
    "claim statement place paper what value low high level p_for p_against n unit verdict command "
    "against"
).split()


def _by_interval(
    low: int | float, high: int | float, region: tuple[int | float, int | float]
) -> Verdict:
    start, end = region
    if math.isnan(low) or math.isnan(high):
        return UNDECIDED
    if start <= low and high <= end:
        return "holds"
    return "does not hold" if high < start or end < low else UNDECIDED


def _require_ordered(name: str, values: tuple[Any, ...]) -> None:
    """Refuse numbers that go down; NaN has no place in the order."""
    for value in values:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise TypeError(
                f"Expected numbers for `{name}`; found {shown(value)}. Pass numbers, NaN for none."
            )
    known = [value for value in values if not math.isnan(value)]
    if known != sorted(known):
        raise ValueError(
            f"Expected `{name}` in ascending order; found {known}. Give the smaller one first."
        )


def _require_region(region: object) -> None:
    require_type("region", region, tuple, remedy="Give it as (from, to).")
    assert isinstance(region, tuple)
    _require_ordered("region", region)
    if len(region) != 2 or any(map(math.isnan, region)):
        raise ValueError(
            f"Expected `region` to be two numbers, from and to; found {shown(region)}. "
            "Use math.inf for a side without an end."
        )


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
