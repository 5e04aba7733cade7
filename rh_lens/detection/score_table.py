"""The table of all scores: what each is computed from, and what it needs as a trial ends.

A new score is a function in `scores.py`, its name in `ScoreName` and a row here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_choice
from rh_lens.detection.events import CopyEvents
from rh_lens.detection.official import (
    OFFICIAL_MAX_NEW_TOKENS,
    official_score,
    official_span,
    official_stop,
    official_verdict,
)
from rh_lens.detection.retrieval_scores import RetrievalScores
from rh_lens.detection.scores import (
    ScoreName,
    attention_mass_scores,
    event_scores,
    fed_attention_scores,
    official_scores,
    position_scores,
    teacher_forced_scores,
    token_set_scores,
)
from rh_lens.detection.sources import AttentionSources
from rh_lens.detection.teacher_forced import forced_shares
from rh_lens.detection.trial import Trial
from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime import Answer, Bridge, StopRule

Recorded: TypeAlias = Mapping[str, Float[Tensor, "layer head"]]
"""Values of one trial, by the names of scores: `Trial.recorded_scores`."""


@dataclass(frozen=True)
class Score:
    """One definition of a head's score.

    Args:
        compute: The scores, from the copy-paste events of some trials and these trials.
        record: What it needs besides the fields of a trial, taken while the model is at the answer:
            from the prompt, the answer and all rows recorded meanwhile. None: nothing.
        of_all_trials: Whether rejected trials count too, as no answer needs to be right.
        max_new_tokens: Longest answer, where the definition says so.
        stop: What ends an answer by the definition, from the tokenizer.
        judge: Changes the verdict on a trial, where the definition has its own.
    """

    compute: Callable[[CopyEvents, Sequence[Trial]], RetrievalScores]
    record: Callable[[Bridge, NeedlePrompt, Answer, AttentionSources], Recorded] | None = None
    of_all_trials: bool = False
    max_new_tokens: int | None = None
    stop: Callable[[Any], StopRule] | None = None
    judge: Callable[[Trial], Trial] = lambda trial: trial


def _forced(
    model: Bridge, prompt: NeedlePrompt, answer: Answer, sources: AttentionSources
) -> Recorded:
    """Both scores of the fed answer, read on from the prompt that the cache holds."""
    return forced_shares(model, prompt, context=answer.context)


def _official(
    model: Bridge, prompt: NeedlePrompt, answer: Answer, sources: AttentionSources
) -> Recorded:
    """Every head's official score; the row that predicted the stop token counts there."""
    span = official_span(prompt.tokens, prompt.needle.answer, model.tokenizer)
    said = torch.tensor(answer.generation.said, dtype=torch.long)
    values = official_score(sources.source, prompt.tokens, said, span)
    return {"official": sources.by_model_layer(values)}


SCORES: Mapping[ScoreName, Score] = {
    "position": Score(position_scores),
    "token-set": Score(token_set_scores),
    "event": Score(event_scores),
    "teacher-forced": Score(
        lambda events, trials: teacher_forced_scores(trials), _forced, of_all_trials=True
    ),
    "fed-attention": Score(
        lambda events, trials: fed_attention_scores(trials), _forced, of_all_trials=True
    ),
    "attention-mass": Score(lambda events, trials: attention_mass_scores(trials)),
    "official": Score(
        lambda events, trials: official_scores(trials),
        _official,
        max_new_tokens=OFFICIAL_MAX_NEW_TOKENS,
        stop=official_stop,
        judge=official_verdict,
    ),
}
"""Every score by its name."""


def require_score_name(name: str) -> None:
    """Refuse a name that is no score.

    Raises:
        ValueError: The name is unknown.
    """
    require_choice("score", name, get_args(ScoreName))
