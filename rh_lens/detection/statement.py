"""What is to be known before a detection stops, and what is known when it does."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_choice, require_number, require_seed, require_whole_number
from rh_lens.heads import Head

Goal: TypeAlias = Literal["heads", "top", "scores"]


@dataclass(frozen=True)
class Until:
    """What is to be known before a detection stops.

    Args:
        goal: "heads": which heads have the threshold or more. "top": which are the `k` best.
            "scores": every head's score to +- `within`.
        k: Number of heads of "top".
        within: Half the widest interval of "scores".
        level: Probability with which all statements hold, whenever one looks.
        seed: Seed of the order in which prompts come.

    Raises:
        TypeError: A field has the wrong type.
        ValueError: A field is out of range, or the goal is unknown.
    """

    goal: Goal = "heads"
    k: int = 10
    within: float = 0.05
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        require_choice("goal", self.goal, get_args(Goal))
        require_whole_number("k", self.k, at_least=1, at_most=10**9)
        steps = "Scores are tried out in steps of 0.005: give 0.01 or more."
        require_number("within", self.within, at_least=0.01, below=0.5, remedy=steps)
        require_number("level", self.level, above=0, below=1)
        require_seed("seed", self.seed)

    def wanted(self, threshold: float) -> str:
        """The goal in words.

        Raises:
            TypeError: The threshold is no number.
            ValueError: It is not finite.
        """
        require_number("threshold", threshold)
        return {
            "heads": f"which heads have a score of {threshold:g} or more",
            "top": f"which {self.k} heads have the highest scores",
            "scores": f"every head's score to +-{self.within:g}",
        }[self.goal]


@dataclass(frozen=True, eq=False)
class UntilStatement:
    """What is known when a detection ends.

    Args:
        until: What was to be known.
        threshold: Of the detection.
        unit: What came in random order: "round", a cell of the grid for each needle; or "needle",
            all its prompts.
        n_units: Units that were answered.
        of: Units that there are.
        n_answered: Prompts that were answered.
        n_prompts: Prompts that there are.
        n_needles: Needles of these.
        undecided: Heads of which it is not known.
        low: Lower bounds of all heads' scores, at the level together.
        high: Upper bounds.
    """

    until: Until
    threshold: float
    unit: Literal["round", "needle"]
    n_units: int
    of: int
    n_answered: int
    n_prompts: int
    n_needles: int
    undecided: tuple[Head, ...]
    low: Float[Tensor, "layer head"]
    high: Float[Tensor, "layer head"]

    def __repr__(self) -> str:
        return f"UntilStatement({self.text})"

    @property
    def holds(self) -> bool:
        """Whether all that was to be known is."""
        return not self.undecided

    @property
    def text(self) -> str:
        """What is known, about what, and after how many prompts."""
        about = f"what all {self.n_prompts} prompts about these {self.n_needles} needles would say"
        if self.unit == "needle":
            about = f"needles such as these, of which {self.n_units} came in random order"
        wanted = self.until.wanted(self.threshold)
        after = f"after {self.n_answered} of {self.n_prompts} prompts"
        if self.holds:
            return f"Known {after}: {wanted} (level {self.until.level:g}; about {about})"
        names = ", ".join(head.label for head in self.undecided[:8])
        more = f" and {len(self.undecided) - 8} more" if len(self.undecided) > 8 else ""
        return (
            f"Not known {after}: {wanted} (level {self.until.level:g}; about {about}); undecided: "
            f"{names}{more}"
        )

    def record(self) -> dict[str, Any]:
        """The statement as JSON values."""
        return {
            **asdict(self.until),
            "threshold": self.threshold,
            "unit": self.unit,
            "n_units": self.n_units,
            "of": self.of,
            "n_answered": self.n_answered,
            "n_prompts": self.n_prompts,
            "n_needles": self.n_needles,
            "holds": self.holds,
            "undecided": [head.label for head in self.undecided],
            "text": self.text,
        }
