"""The heads of a model at one moment of its training."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from rh_lens.analysis.emergence import HEAD_VALUES, MOMENT_VALUES, Moment
from rh_lens.checks import require_flag, require_number, require_text
from rh_lens.circuits import prefix_matching_heads
from rh_lens.detection import (
    NoAcceptedTrialsError,
    RetrievalResult,
    Trial,
    detect_retrieval_heads,
    score_trials,
)
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.runtime import Bridge, require_bridge

_UNITS = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


def score_moment(
    model: Bridge,
    prompts: Iterable[NeedlePrompt],
    *,
    name: str,
    step: int | float = math.nan,
    tokens: int | float = math.nan,
    max_new_tokens: int | None = None,
    progress: bool = False,
) -> Moment:
    """Scores of every head of a model, as it is at one moment of its training.

    Each prompt is answered once, and its needle's answer fed once, which gives the position score
    (over accepted trials), teacher-forced copy (over all) and the answers' recall; prefix matching
    is taken on ten sequences of 25 random tokens, repeated four times (arXiv:2209.11895).

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts.
        name: Of the moment.
        step: Optimiser steps done, if known.
        tokens: Tokens trained on, if known.
        max_new_tokens: Longest answer in tokens; None: by the needles.
        progress: Whether to show a progress bar.

    Raises:
        TypeError: An argument is of another type.
        ValueError: An argument is out of range, or the model can't be searched.

    Examples:
        >>> score_moment(model, prompts[:2], name="last")
        Moment('last': recall 1.00, 2 of 2 accepted)
    """
    require_bridge(model)
    prompts = require_prompts(prompts)
    require_text("name", name)
    for field, value in {"step": step, "tokens": tokens}.items():
        if value == value:
            require_number(field, value, at_least=0)
    require_flag("progress", progress)
    result = detect_retrieval_heads(
        model, prompts, score="teacher-forced", max_new_tokens=max_new_tokens, progress=progress
    )
    forced = result.scores.mean().double()
    score = _position(result)
    return Moment(
        name=name,
        step=float(step),
        tokens=float(tokens),
        score=torch.full_like(forced, math.nan) if score is None else score,
        forced=forced,
        induction=prefix_matching_heads(model).mean().double(),
        recall=sum(trial.recall for trial in result.trials) / len(result.trials),
        exact=sum(map(_is_exact, result.trials)) / len(result.trials),
        n_prompts=len(result.trials),
        n_accepted=len(result.accepted),
    )


def named_moment(name: str, tokens_per_step: int | float | None = None) -> tuple[float, float]:
    """Step and tokens that a revision's name tells: `step1000`, `stage1-step1000-tokens5B`.

    Args:
        name: Of the revision.
        tokens_per_step: For names that tell steps only.

    Returns:
        Both, NaN where they are not told.
    """
    found = re.search(r"step[-_]?(\d+)", name)
    step = float(found[1]) if found else math.nan
    told = re.search(r"tokens[-_]?(\d+(?:\.\d+)?)([KMBT])", name)
    if told:
        return step, float(told[1]) * _UNITS[told[2]]
    return step, math.nan if tokens_per_step is None else step * tokens_per_step


def moment_record(moment: Moment) -> dict[str, Any]:
    """A moment as JSON values, where NaN is None."""
    known = {name: _number(getattr(moment, name)) for name in MOMENT_VALUES}
    values = {
        name: [[_number(value) for value in line] for line in getattr(moment, name).tolist()]
        for name in HEAD_VALUES
    }
    return {"moment": moment.name, **known, **values}


def moment_of(record: Mapping[str, Any]) -> Moment:
    """The moment of a `moment_record`."""
    known: dict[str, Any] = {name: _float(record[name]) for name in MOMENT_VALUES}
    known |= {name: int(known[name]) for name in ("n_prompts", "n_accepted")}
    for name in HEAD_VALUES:
        lines = [[_float(value) for value in line] for line in record[name]]
        known[name] = torch.tensor(lines, dtype=torch.float64)
    return Moment(name=str(record["moment"]), **known)


def _number(value: Any) -> Any:
    return None if value != value else value


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)


def _position(result: RetrievalResult) -> torch.Tensor | None:
    try:
        return score_trials("position", result.events, result.trials).mean().double()
    except NoAcceptedTrialsError:
        return None


def _is_exact(trial: Trial) -> bool:
    return trial.text.strip().removesuffix(".") == trial.prompt.needle.answer.strip()
