"""Answers of an ablation as JSON values and tensors, and back: what was said, who looked where."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from rh_lens.evaluation import HeadLooks, KeptAnswer, SetAnswers, SetLosses
from rh_lens.heads import Head
from rh_lens.runs.log import Entry
from rh_lens.runtime import Generation

_LOOKS = [field.name for field in fields(HeadLooks)]


def losses_record(losses: SetLosses) -> dict[str, Any]:
    """What a text cost: the JSON values of an entry."""
    rows = [[_labels(heads), window, loss] for (heads, window), loss in losses.items()]
    return {"losses": rows}


def read_losses(entry: Entry) -> dict[tuple[tuple[Head, ...], int], float]:
    """The losses of an entry."""
    rows = entry.record.get("losses", ())
    return {(_heads(labels), window): loss for labels, window, loss in rows}


def answers_record(answers: SetAnswers) -> dict[str, Any]:
    """What was said: the JSON values of an entry.

    Args:
        answers: Answers that came of the same passes.
    """
    said = [
        {
            "heads": _labels(heads),
            "prompt": index,
            "text": answer.generation.text,
            "tokens": answer.generation.tokens.tolist(),
            "stop_reason": answer.generation.stop_reason,
            "said": list(answer.generation.said),
            "n_passes": answer.generation.n_passes,
        }
        for (heads, index), answer in answers.items()
    ]
    return {"answers": said}


def looks_tensors(answers: SetAnswers) -> dict[str, Tensor]:
    """Where heads looked meanwhile: arrays [step head] as `0.source`, by place and name."""
    return {
        f"{place}.{name}": torch.from_numpy(getattr(answer.looks, name))
        for place, answer in enumerate(answers.values())
        if answer.looks is not None
        for name in _LOOKS
    }


def read_answers(entry: Entry) -> dict[tuple[tuple[Head, ...], int], KeptAnswer]:
    """The answers of an entry."""
    return {
        (_heads(one["heads"]), one["prompt"]): KeptAnswer(
            Generation(
                torch.tensor(one["tokens"], dtype=torch.long),
                one["text"],
                one["stop_reason"],
                tuple(one["said"]),
                one["n_passes"],
            ),
            _looks(entry, place),
        )
        for place, one in enumerate(entry.record.get("answers", ()))
    }


def _looks(entry: Entry, place: int) -> HeadLooks | None:
    arrays = {
        name: entry.tensors[f"{place}.{name}"].numpy()
        for name in _LOOKS
        if f"{place}.{name}" in entry.tensors
    }
    return HeadLooks(**arrays) if arrays else None


def _labels(heads: Sequence[Head]) -> list[str]:
    return [head.label for head in heads]


def _heads(labels: Sequence[str]) -> tuple[Head, ...]:
    return tuple(Head.parse(label) for label in labels)
