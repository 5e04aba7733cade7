"""What each bundled model is trained on, and how: one recipe a model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rh_lens.demo.training.curriculum import CURRICULUM, LESSONS, PEAK_LEARNING_RATE, Stage
from rh_lens.demo.training.documents import DocumentWriter
from rh_lens.demo.training.lessons import LessonWriter


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
    """

    name: str
    curriculum: tuple[Stage, ...]
    writer: Callable[..., DocumentWriter] = DocumentWriter
    peak_learning_rate: float = PEAK_LEARNING_RATE
    drop_layers: Sequence[int] = (0, 1)
    n_filler_sentences: int = 40_000

    def quick(self) -> "Recipe":
        """A recipe that runs through everything in seconds, to try the pipeline; it learns little.

        A few steps of each of the first two stages.
        """
        short = [
            replace(stage, batch=2, million_tokens=8 * stage.length / 1e6)
            for stage in self.curriculum[:2]
        ]
        return replace(self, curriculum=tuple(short), n_filler_sentences=200)

    def shortened(self, million_tokens: float) -> "Recipe":
        """The same with fewer tokens in all, in every stage by the same factor."""
        factor = million_tokens / sum(stage.million_tokens for stage in self.curriculum)
        short = [
            replace(one, million_tokens=one.million_tokens * factor) for one in self.curriculum
        ]
        return replace(self, curriculum=tuple(short))

    def without_dropout(self) -> "Recipe":
        """The same without heads that are silenced at random."""
        plain = [replace(one, drop_heads=0.0, drop_attention=0.0) for one in self.curriculum]
        return replace(self, curriculum=tuple(plain))


FINDER = Recipe("finder", CURRICULUM)
"""The first model: four layers that find facts in long texts, from nothing."""

SCHOLAR = Recipe(
    "scholar", LESSONS, LessonWriter, peak_learning_rate=1e-3, drop_layers=tuple(range(8))
)
"""The second model: the first one grown to eight layers, and taught to read, know and reason."""

# Shares of a training at which the model is put aside, to see heads change: early ones are near.
MOMENTS = (0.0, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0)
