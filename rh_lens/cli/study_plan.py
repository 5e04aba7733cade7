"""How much a study asks: sizes that fit a time, by a timed first context."""

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rh_lens.prompts import NeedlePrompt
    from rh_lens.runtime import Bridge

N_RANKINGS, N_MATCHES = 19, 2
# Conditions that are timed together, as an ablation answers them.
_N_TIMED = 8
# What a first context can't know: answers of other lengths, writing, pictures.
_RESERVE = 1.3
# Prompts of the survey are read about so often.
_SURVEY_READINGS = 15


@dataclass(frozen=True)
class Sizes:
    """How much is asked.

    Args:
        depths: Depths of the detection.
        ablation_depths: Depths of the ablation, at the two shortest lengths.
        controls: Control draws for each K and match.
        items: Items of the task.
        all_ks: Whether the curve has all numbers of heads; else only three quarters and all of the
            retrieval heads.
    """

    depths: int
    ablation_depths: int
    controls: int
    items: int
    all_ks: bool


# From the most to the least; 19 rankings, with which a p-value can reach 0.05, are in all.
LEVELS = (
    Sizes(10, 4, 5, 24, True),
    Sizes(10, 2, 3, 24, True),
    Sizes(5, 2, 3, 24, False),
    Sizes(3, 1, 3, 12, False),
    Sizes(2, 1, 2, 12, False),
)


@dataclass(frozen=True)
class Timing:
    """Seconds that a first context took.

    Args:
        load: Loading the model.
        shortest: An answer at the shortest length.
        longest: An answer at the longest.
        condition: An answer at the second shortest, one of several conditions answered together.
    """

    load: float
    shortest: float
    longest: float
    condition: float


@dataclass(frozen=True)
class StudyPlan:
    """Sizes, and what the stages are thought to take.

    Args:
        sizes: How much is asked.
        lengths: Context lengths in tokens.
        seconds: By stage.
        timing: What that rests on.
    """

    sizes: Sizes
    lengths: list[int]
    seconds: dict[str, float]
    timing: Timing

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def of(cls, record: dict[str, Any]) -> "StudyPlan":
        """From JSON values."""
        lengths = [int(one) for one in record["lengths"]]
        timing = Timing(**record["timing"])
        return cls(Sizes(**record["sizes"]), lengths, dict(record["seconds"]), timing)


def time_model(model: "Bridge", prompts: "Sequence[Sequence[NeedlePrompt]]", load: float) -> Timing:
    """Seconds of an answer at some lengths, each prompt asked once before it is timed.

    Args:
        model: A TransformerBridge.
        prompts: Some of each length, the shortest first.
        load: Seconds that loading took.
    """
    from rh_lens.evaluation import needle_recall
    from rh_lens.heads import Head
    from rh_lens.interventions import zero_ablation
    from rh_lens.runtime import attention_layers

    def seconds(some: "Sequence[NeedlePrompt]", conditions: Any = None) -> float:
        taken = []
        for _ in range(2):
            began = time.monotonic()
            needle_recall(model, some, conditions, progress=False)
            taken.append(time.monotonic() - began)
        return min(taken) / len(some)

    layer = attention_layers(model)[0]
    heads = [Head(layer, place % model.cfg.n_heads) for place in range(_N_TIMED)]
    several = {str(place): zero_ablation([head]) for place, head in enumerate(heads)}
    return Timing(
        load=load,
        shortest=seconds(prompts[0]),
        longest=seconds(prompts[-1]),
        condition=seconds(prompts[min(1, len(prompts) - 1)], several) / _N_TIMED,
    )


def choose(
    timing: Timing, lengths: list[int], n_needles: int, n_heads: int, seconds: float
) -> StudyPlan:
    """The most that is thought to fit; the least of all sizes where nothing does.

    Args:
        timing: From `time_model`.
        lengths: Context lengths.
        n_needles: Needles of the detection, and as many of the ablation.
        n_heads: Heads of the model.
        seconds: For detection, ablation and survey together.
    """
    for sizes in LEVELS:
        needed = _needed(sizes, timing, lengths, n_needles, n_heads)
        if sum(needed.values()) <= seconds:
            break
    return StudyPlan(sizes, lengths, needed, timing)


def _needed(
    sizes: Sizes, timing: Timing, lengths: list[int], n_needles: int, n_heads: int
) -> dict[str, float]:
    """Seconds of each stage."""
    from rh_lens.evaluation.draw_plan import DEFAULT_KS

    first, last = min(lengths), max(lengths)
    slope = (timing.longest - timing.shortest) / max(1, last - first)
    answers = [timing.shortest + slope * (length - first) for length in lengths]
    n_ks = sum(0 < k <= n_heads for k in DEFAULT_KS) + 2 if sizes.all_ks else 2
    n_conditions = 1 + n_ks * (1 + N_MATCHES * sizes.controls + N_RANKINGS)
    n_prompts = min(2, len(lengths)) * sizes.ablation_depths * n_needles
    needed = {
        "detect": sizes.depths * n_needles * sum(answers),
        "ablate": n_prompts * n_conditions * timing.condition,
        "describe": _SURVEY_READINGS * n_needles * answers[0],
        "evaluate": sizes.items * (1 + 2 * (1 + sizes.controls + N_RANKINGS)) * timing.condition,
    }
    return {name: _RESERVE * (one + timing.load) for name, one in needed.items()}
