"""What a row of the table of detectors holds, and what detectors read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from jaxtyping import Int
from torch import Tensor

from rh_lens.circuits.head_scores import HeadScores
from rh_lens.circuits.marked_text import MarkedText
from rh_lens.detection import RetrievalResult
from rh_lens.prompts import NeedlePrompt
from rh_lens.representation import short_repr
from rh_lens.runtime import Bridge

Stage: TypeAlias = Literal[
    "knowledge recalling",
    "in-context identification",
    "latent reasoning",
    "expression preparation",
]
"""The stages of Zheng et al. 2024 (arXiv:2409.03752)."""


@dataclass(frozen=True, eq=False)
class SurveyInputs:
    """What the detectors read.

    Args:
        prompts: Needle prompts: natural text, and questions with a conflict.
        repeated: Random tokens that repeat themselves.
        names: Texts with `io`, `s1` and `s2`.
        facts: Questions with `subject` and `relation`.
        detection: Of the same model; it tells retrieval heads. None: no detector asks for it.
        seed: Seed of what detectors draw.
    """

    prompts: tuple[NeedlePrompt, ...]
    repeated: tuple[Int[Tensor, " _"], ...]
    names: tuple[MarkedText, ...]
    facts: tuple[MarkedText, ...]
    detection: RetrievalResult | None = None
    seed: int = 0

    __repr__ = short_repr

    @property
    def texts(self) -> list[Int[Tensor, " _"]]:
        """Tokens of the needle prompts."""
        return [prompt.tokens for prompt in self.prompts]


@dataclass(frozen=True)
class Detector:
    """One kind of head, and how it is found.

    Args:
        name: Of the kind.
        stage: Stage of the survey that it belongs to, as this project reads it.
        measures: What its score is.
        source: Where the definition comes from.
        function: The function that measures it; its docstring has the formula.
        run: The same on `SurveyInputs`.
        low: Lowest score there is; the highest is 1.
    """

    name: str
    stage: Stage
    measures: str
    source: str
    function: Callable[..., HeadScores]
    run: Callable[[Bridge, SurveyInputs], HeadScores]
    low: float = 0.0

    __repr__ = short_repr
