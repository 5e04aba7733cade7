"""A doubt settled, or not: a claim, its test, the result and the verdict, in plain words."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import pandas as pd

from rh_lens.checks import require_choice, require_list, require_number, require_text, require_type
from rh_lens.evaluation import Estimate
from rh_lens.representation import cut, html_table

DoubtVerdict: TypeAlias = Literal["supported", "not supported", "undecided"]
"""Supported: the test shows it. Not supported: it could have and did not, or shows the opposite.
Undecided: these prompts are too few to tell, or the test does not apply."""

_FROM = "Take an interval over needles, such as found.effect()."


@dataclass(frozen=True)
class Doubt:
    """One alternative to "these heads retrieve", tested.

    Args:
        name: Which doubt, such as "dose-response".
        claim: What was to be shown, in a sentence.
        test: How.
        result: What came out, with its uncertainty.
        verdict: "supported", "not supported" or "undecided".
        against: What speaks against the claim, also where it is supported.
        table: The numbers behind the result.
        seconds: Time that it took.

    Raises:
        TypeError: A text is none.
        ValueError: A text is blank, or there is no such verdict.
    """

    name: str
    claim: str
    test: str
    result: str
    verdict: DoubtVerdict
    against: str
    table: pd.DataFrame = field(default_factory=pd.DataFrame, compare=False)
    seconds: float = field(default=0.0, compare=False)

    def __post_init__(self) -> None:
        for name in ("name", "claim", "test", "result", "against"):
            require_text(name, getattr(self, name))
        require_choice("verdict", self.verdict, get_args(DoubtVerdict))

    def __repr__(self) -> str:
        return f"Doubt({self.name}: {self.verdict}; {cut(self.result, 100)})"

    def row(self) -> dict[str, str | float]:
        """The texts by name, what speaks against the claim first."""
        names = ("name", "against", "claim", "test", "result", "verdict", "seconds")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Checklist:
    """Doubts in the order in which they were tested.

    Args:
        doubts: What came of them.
        left_out: Names of doubts that were asked for, each with the reason why it has no verdict.
    """

    doubts: tuple[Doubt, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        counts = [f"{self.count(one)} {one}" for one in get_args(DoubtVerdict)]
        left = f", {len(self.left_out)} left out" if self.left_out else ""
        return f"Checklist({', '.join(counts)}{left})"

    def _repr_html_(self) -> str:
        return html_table(self.to_dataframe(), repr(self), n_rows=50)

    def count(self, verdict: DoubtVerdict) -> int:
        """How many have this verdict.

        Raises:
            ValueError: There is no such verdict.
        """
        require_choice("verdict", verdict, get_args(DoubtVerdict))
        return sum(one.verdict == verdict for one in self.doubts)

    def to_dataframe(self) -> pd.DataFrame:
        """One row a doubt: name, against, claim, test, result, verdict, seconds."""
        names = ["name", "against", "claim", "test", "result", "verdict", "seconds"]
        return pd.DataFrame([one.row() for one in self.doubts], columns=names)


def verdict_above(found: Estimate, bound: float = 0.0) -> DoubtVerdict:
    """Whether a value is above a bound: by which side of it the whole interval lies.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The bound is not finite.

    Examples:
        >>> verdict_above(mean_interval([1.0] * 12, list(range(12))), 0.5)
        'supported'
    """
    require_type("found", found, Estimate, remedy=_FROM)
    require_number("bound", bound)
    if found.low > bound:
        return "supported"
    return "not supported" if found.high <= bound else "undecided"


def verdict_within(found: Estimate, margin: float) -> DoubtVerdict:
    """Whether a value lies within ± a margin: by whether the whole interval does.

    Two one-sided tests of level a, if the interval has level 1 - 2a (Schuirmann 1987).

    Raises:
        TypeError: An argument is of another type.
        ValueError: The margin is not above 0.

    Examples:
        >>> verdict_within(mean_interval([0.0] * 12, list(range(12))), 0.5)
        'supported'
    """
    require_type("found", found, Estimate, remedy=_FROM)
    require_number("margin", margin, above=0)
    if -margin < found.low and found.high < margin:
        return "supported"
    return "not supported" if found.low >= margin or found.high <= -margin else "undecided"


def verdict_pvalue(p: float, *, smallest: float, level: float = 0.05) -> DoubtVerdict:
    """Whether a test rejects its null hypothesis; undecided where it could not have.

    Args:
        p: The p-value.
        smallest: The smallest one within reach.
        level: From which p-value on the null is rejected.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A number is not between 0 and 1.

    Examples:
        >>> verdict_pvalue(0.2, smallest=0.05), verdict_pvalue(0.2, smallest=0.2)
        ('not supported', 'undecided')
    """
    for name, value in {"p": p, "smallest": smallest}.items():
        require_number(name, value, at_least=0, at_most=1)
    require_number("level", level, above=0, below=1)
    if p <= level:
        return "supported"
    return "undecided" if smallest > level else "not supported"


def all_of(verdicts: Iterable[DoubtVerdict]) -> DoubtVerdict:
    """One verdict of several that must all hold: the worst of them.

    Raises:
        TypeError: They are no list of texts.
        ValueError: There is none, or one is no verdict.

    Examples:
        >>> all_of(["supported", "undecided"])
        'undecided'
    """
    given = require_list("verdicts", verdicts, str, at_least=1)
    for one in given:
        require_choice("verdicts", one, get_args(DoubtVerdict))
    order: tuple[DoubtVerdict, ...] = ("not supported", "undecided", "supported")
    return min(given, key=order.index)


def shown_estimate(found: Estimate, unit: str = "", digits: int = 2) -> str:
    """An estimate as text: "0.98 [0.95, 1.00] nats".

    Args:
        found: The estimate.
        unit: What it is counted in.
        digits: Behind the point.
    """
    text = f"{found.mean:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"
    return f"{text} {unit}".strip()
