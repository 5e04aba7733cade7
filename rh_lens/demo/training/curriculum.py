"""What the demo model is trained on, in which order, at which learning rate."""

import math
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Stage:
    """A part of the curriculum.

    Args:
        length: Tokens in a document.
        batch: Documents in a step.
        million_tokens: Tokens of the whole stage, in millions.
        max_facts: Most facts in a document.
        repeated: Share of documents that say a span of random tokens again and again.
        drop_heads: Chance that a head of the first two layers is silenced, for each document; in
            the second model of any layer.
        drop_attention: Chance that all heads of a layer but the first are silenced.
        alone: Share of documents that are exercises without a text, where there are exercises.
        blended: Share of documents with words of their own, in the second model.
        plain: Share of documents with plain facts only, as the first model's.
        weak: Whether texts ask mostly for what the second model is weakest at.
    """

    length: int
    batch: int
    million_tokens: float
    max_facts: int
    repeated: float
    drop_heads: float
    drop_attention: float = 0.0
    alone: float = 0.0
    blended: float = 0.0
    plain: float = 0.0
    weak: bool = False

    @property
    def n_steps(self) -> int:
        """Optimiser steps of the stage."""
        return math.ceil(self.million_tokens * 1e6 / (self.length * self.batch))


# Short documents first: retrieval emerges on them, then it is stretched.
CURRICULUM = (
    Stage(96, 16, 1.0, max_facts=2, repeated=0.4, drop_heads=0.0),
    Stage(192, 8, 6.0, max_facts=5, repeated=0.2, drop_heads=0.0),
    Stage(256, 8, 6.0, max_facts=8, repeated=0.15, drop_heads=0.05),
    Stage(512, 4, 6.0, max_facts=18, repeated=0.1, drop_heads=0.08),
    Stage(1024, 2, 6.0, max_facts=36, repeated=0.05, drop_heads=0.08),
    Stage(2048, 1, 6.0, max_facts=56, repeated=0.0, drop_heads=0.08),
)

# What the second model goes on with, when the first one has grown: texts first; then what is known
# and reckoned, and letters, alone; then everything, in longer and longer texts; and those once more
# while the learning rate falls, so that no length was last seen at a high one.
LESSONS = (
    Stage(192, 8, 5.0, max_facts=5, repeated=0.03, drop_heads=0.1, drop_attention=0.1, alone=0.3),
    Stage(192, 8, 2.0, max_facts=5, repeated=0.0, drop_heads=0.0, alone=1.0),
    Stage(192, 8, 9.0, max_facts=5, repeated=0.03, drop_heads=0.1, drop_attention=0.1, alone=0.35),
    Stage(512, 3, 5.0, max_facts=12, repeated=0.03, drop_heads=0.1, drop_attention=0.1, alone=0.2),
    Stage(1024, 2, 3.0, max_facts=20, repeated=0.02, drop_heads=0.05, alone=0.2),
    Stage(2048, 1, 2.2, max_facts=30, repeated=0.0, drop_heads=0.05, alone=0.2),
    Stage(512, 3, 2.5, max_facts=12, repeated=0.02, drop_heads=0.05, alone=0.2),
    Stage(1024, 2, 2.0, max_facts=20, repeated=0.02, drop_heads=0.05, alone=0.2),
    Stage(2048, 1, 0.6, max_facts=30, repeated=0.0, drop_heads=0.05, alone=0.2),
)

# What the second model closes with: every length and the drills in turn, again and again, half of
# the texts with words that occur in few others, with plain facts beside what it is weakest at.
_TEXTS: dict[str, Any] = {"drop_heads": 0.0, "blended": 0.5, "weak": True}
CLOSING_ROUND = (
    Stage(192, 8, 0.077, max_facts=5, repeated=0.02, plain=0.2, **_TEXTS),
    Stage(192, 8, 0.038, max_facts=5, repeated=0.0, drop_heads=0.0, alone=1.0),
    Stage(512, 3, 0.055, max_facts=12, repeated=0.02, plain=0.3, **_TEXTS),
    Stage(1024, 2, 0.041, max_facts=20, repeated=0.02, plain=0.4, **_TEXTS),
    Stage(2048, 1, 0.041, max_facts=30, repeated=0.0, plain=0.5, **_TEXTS),
)
# First without silenced heads, then a little with, so that no two heads carry everything.
CLOSING = 40 * CLOSING_ROUND
SETTLING = 15 * tuple(
    one if one.alone else replace(one, drop_heads=0.05, drop_attention=0.05)
    for one in CLOSING_ROUND
)

PEAK_LEARNING_RATE = 2e-3
FINAL_LEARNING_RATE = 5e-5
WARM_UP_STEPS = 100
# Share of the steps, at the end, over which the learning rate falls along a cosine, unless it is
# said otherwise.
DECAY_SHARE = 0.5


def total_steps(curriculum: tuple[Stage, ...] = CURRICULUM) -> int:
    """Optimiser steps of all stages together."""
    return sum(stage.n_steps for stage in curriculum)


def stage_at(step: int, curriculum: tuple[Stage, ...] = CURRICULUM) -> Stage:
    """The stage that a step, counted from 0, belongs to.

    Raises:
        ValueError: The step is past the last stage.
    """
    left = step
    for stage in curriculum:
        if left < stage.n_steps:
            return stage
        left -= stage.n_steps
    raise ValueError(f"Expected a step below {total_steps(curriculum)}; found {step}.")


def learning_rate(
    step: int,
    n_steps: int,
    peak: float = PEAK_LEARNING_RATE,
    decay_share: float = DECAY_SHARE,
) -> float:
    """Learning rate of a step: linear warm-up, constant, then half a cosine down.

    Args:
        step: The step, from 0 on.
        n_steps: Steps in all.
        peak: Highest learning rate.
        decay_share: Share of the steps, at the end, over which it falls.
    """
    if step < WARM_UP_STEPS:
        return peak * (step + 1) / WARM_UP_STEPS
    left = min(1.0, (n_steps - step) / (decay_share * n_steps))
    falling = 0.5 - 0.5 * math.cos(math.pi * left)
    return FINAL_LEARNING_RATE + (peak - FINAL_LEARNING_RATE) * falling
