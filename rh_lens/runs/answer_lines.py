"""Answers of an ablation as two lines of JSON, and back: what was said, and where heads looked."""

from base64 import b64decode, b64encode
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from rh_lens.evaluation import HeadLooks, KeptAnswer, SetAnswers
from rh_lens.heads import Head
from rh_lens.runtime import Generation


def answers_record(number: int, answers: SetAnswers) -> dict[str, Any]:
    """What was said, as JSON values: a line of `trials.jsonl`.

    Args:
        number: Of the line.
        answers: Answers that came of the same passes.
    """
    said = [
        {
            "heads": [head.label for head in heads],
            "prompt": index,
            "tokens": answer.generation.tokens.tolist(),
            "text": answer.generation.text,
            "stop_reason": answer.generation.stop_reason,
            "said": list(answer.generation.said),
            "n_passes": answer.generation.n_passes,
        }
        for (heads, index), answer in answers.items()
    ]
    return {"trial": number, "answers": said}


def looks_record(number: int, answers: SetAnswers) -> dict[str, Any]:
    """Where heads looked meanwhile, as JSON values: a line of `heads.jsonl`.

    Arrays [step head] in base64: `source` of little-endian int64, the others fp32; null where no
    heads were chosen.
    """
    looks = [None if a.looks is None else _arrays(a.looks) for a in answers.values()]
    return {"trial": number, "looks": looks}


def read_answers(
    record: dict[str, Any], heads: dict[str, Any]
) -> dict[tuple[tuple[Head, ...], int], KeptAnswer]:
    """The answers of two lines, from `answers_record` and `looks_record`."""
    return {
        (tuple(Head.parse(label) for label in one["heads"]), one["prompt"]): KeptAnswer(
            Generation(
                torch.tensor(one["tokens"], dtype=torch.long),
                one["text"],
                one["stop_reason"],
                tuple(one["said"]),
                one["n_passes"],
            ),
            None if looks is None else _looks(looks),
        )
        for one, looks in zip(record["answers"], heads["looks"], strict=True)
    }


def _arrays(looks: HeadLooks) -> dict[str, Any]:
    rows = {field.name: getattr(looks, field.name) for field in fields(looks)}
    texts = {
        name: b64encode(array.astype(_dtype(name)).tobytes()).decode("ascii")
        for name, array in rows.items()
    }
    return {"shape": list(looks.source.shape), **texts}


def _looks(values: dict[str, Any]) -> HeadLooks:
    arrays = {
        field.name: np.frombuffer(b64decode(values[field.name]), dtype=_dtype(field.name))
        .reshape(values["shape"])
        .astype(_dtype(field.name).lstrip("<"))
        for field in fields(HeadLooks)
    }
    return HeadLooks(**arrays)


def _dtype(name: str) -> str:
    return "<i8" if name == "source" else "<f4"
