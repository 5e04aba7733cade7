"""What each bundled model is trained on, and how: one recipe a model."""

from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from rh_lens.demo.training.curriculum import (
    CLOSING,
    CURRICULUM,
    LESSONS,
    PEAK_LEARNING_RATE,
    SETTLING,
    Stage,
    learning_rate,
    total_steps,
)
from rh_lens.demo.training.documents import DocumentWriter
from rh_lens.demo.training.lessons import LessonWriter

# Shares of the curriculum at which the model is put aside.
MOMENTS = (0.0, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0)


@dataclass(frozen=True)
class Closing:
    """Stages after a curriculum, with an optimiser and a learning rate that start anew.

    Args:
        stages: The stages.
        peak_learning_rate: Highest learning rate, after the warm-up; from then on it falls.
    """

    stages: tuple[Stage, ...]
    peak_learning_rate: float

    @property
    def n_steps(self) -> int:
        """Optimiser steps of all its stages."""
        return total_steps(self.stages)


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Args:
        name: The model's name.
        curriculum: The stages.
        writer: Makes the writer of its documents, of a tokenizer, a source of draws and, by name,
            the number of filler sentences.
        peak_learning_rate: Highest learning rate.
        drop_layers: Layers whose heads are dropped at random.
        n_filler_sentences: Sentences of prose to draw from.
        closings: What comes after the curriculum, one after the other.
    """

    name: str
    curriculum: tuple[Stage, ...]
    writer: Callable[..., DocumentWriter] = DocumentWriter
    peak_learning_rate: float = PEAK_LEARNING_RATE
    drop_layers: Sequence[int] = (0, 1)
    n_filler_sentences: int = 40_000
    closings: tuple[Closing, ...] = ()

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All stages, in their order."""
        return sum((closing.stages for closing in self.closings), self.curriculum)

    @property
    def first_steps(self) -> tuple[int, ...]:
        """The steps, from 0 on, at which the closings begin, and the one after the last step."""
        lengths = [closing.n_steps for closing in self.closings]
        return tuple(accumulate(lengths, initial=total_steps(self.curriculum)))

    def learning_rate(self, step: int) -> float:
        """Learning rate of a step; in each closing it rises once more, and then only falls."""
        first = self.first_steps
        if step < first[0]:
            return learning_rate(step, first[0], self.peak_learning_rate)
        place = bisect(first, step) - 1
        closing = self.closings[place]
        return learning_rate(
            step - first[place], closing.n_steps, closing.peak_learning_rate, decay_share=1.0
        )

    @property
    def moments(self) -> frozenset[int]:
        """Steps at which the model is put aside, to see heads change: early ones are near."""
        first = self.first_steps
        return frozenset([*(round(share * first[0]) for share in MOMENTS), *first])

    def quick(self) -> "Recipe":
        """A recipe that runs through everything in seconds, to try the pipeline; it learns little.

        A few steps of each of the first two stages, and of the first one of each closing.
        """
        short = replace(
            self,
            curriculum=self.curriculum[:2],
            closings=tuple(replace(one, stages=one.stages[:1]) for one in self.closings),
            n_filler_sentences=200,
        )
        return short._changed(
            lambda stage: replace(stage, batch=2, million_tokens=8 * stage.length / 1e6)
        )

    def shortened(self, million_tokens: float) -> "Recipe":
        """The same with fewer tokens in all, by one factor in every stage, and no closings."""
        factor = million_tokens / sum(stage.million_tokens for stage in self.curriculum)
        return replace(self, closings=())._changed(
            lambda stage: replace(stage, million_tokens=stage.million_tokens * factor)
        )

    def without_dropout(self) -> "Recipe":
        """The same without heads that are silenced at random."""
        return self._changed(lambda stage: replace(stage, drop_heads=0.0, drop_attention=0.0))

    def _changed(self, change: Callable[[Stage], Stage]) -> "Recipe":
        """The same with a change to each of its stages."""
        closings = (replace(one, stages=tuple(map(change, one.stages))) for one in self.closings)
        return replace(
            self, curriculum=tuple(map(change, self.curriculum)), closings=tuple(closings)
        )


FINDER = Recipe("finder", CURRICULUM)
"""The first model: four layers that find facts in long texts, from nothing."""

SCHOLAR = Recipe(
    "scholar",
    LESSONS,
    LessonWriter,
    peak_learning_rate=1e-3,
    drop_layers=tuple(range(8)),
    closings=(Closing(CLOSING, 1e-3), Closing(SETTLING, 6e-4)),
)
"""The second model: the first one grown to eight layers, and taught to read, know and reason."""
