"""A trial as two lines of JSON, and back: what was asked and answered, and what the heads did."""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_type
from rh_lens.detection import EVENT_COLUMNS, CopyEvents, Trial
from rh_lens.prompts import Distractor, Needle, NeedlePrompt

UNKNOWN_TOKEN = -1
"""Stands in a stored prompt for token ids that were not saved."""


def trial_record(trial: Trial) -> dict[str, Any]:
    """A trial as JSON values: its line of `trials.jsonl`.

    Raises:
        TypeError: It is no trial.
    """
    require_type("trial", trial, Trial)
    prompt = trial.prompt
    return {
        "trial": trial.index,
        "needle": prompt.needle.name,
        "question": prompt.needle.question,
        "needle_text": prompt.needle.text,
        "answer": prompt.needle.answer,
        "alternatives": list(prompt.needle.alternatives),
        "distractors": [[fact.text, fact.answer] for fact in prompt.needle.distractors],
        "context_length": prompt.context_length,
        "requested_depth": prompt.requested_depth,
        "depth": prompt.depth,
        "answer_span": list(prompt.answer_span),
        "needle_span": list(prompt.needle_span),
        "span_is_exact": prompt.span_is_exact,
        "distractor_spans": prompt.distractor_spans,
        "distractor_answer_spans": prompt.distractor_answer_spans,
        "answer_tokens": prompt.answer_tokens.tolist(),
        "haystack": prompt.haystack_name,
        "haystack_sha256": prompt.haystack_sha256,
        "haystack_start": prompt.haystack_start,
        "haystack_repeats": prompt.haystack_repeats,
        "template": prompt.template_name,
        "prompt_sha256": prompt.sha256,
        "generated_tokens": trial.tokens.tolist(),
        "generated_text": trial.text,
        "stop_reason": trial.stop_reason,
        "accepted": trial.accepted,
        "reason": trial.reason,
        "recall": trial.recall,
        "recall_measure": trial.recall_measure,
        "n_ties": trial.n_ties,
    }


def heads_record(trial: Trial, events: pd.DataFrame) -> dict[str, Any]:
    """What the heads did in a trial as JSON values: its line of `heads.jsonl`.

    `events` holds a list for each of `EVENT_COLUMNS` but the first. The others are [layer head]
    arrays in base64: `visible` one bit a head, most significant first; `attention_mass` and those
    in `scores`, the recorded ones by their names, little-endian fp64. All numbers are exact.
    """
    return {
        "trial": trial.index,
        "shape": list(trial.visible.shape),
        "n_events": len(events),
        "visible": _text(np.packbits(trial.visible.cpu().numpy())),
        "attention_mass": _text(_doubles(trial.attention_mass)),
        "scores": {name: _text(_doubles(one)) for name, one in trial.recorded_scores.items()},
        "events": {name: events[name].tolist() for name in EVENT_COLUMNS[1:]},
    }


def read_trial(record: dict[str, Any], heads: dict[str, Any], prompt: NeedlePrompt) -> Trial:
    """The trial of two lines.

    Args:
        record: From `trial_record`.
        heads: From `heads_record`.
        prompt: Its prompt; `stored_prompt` has as much of it as was saved.
    """
    n_layers, n_heads = heads["shape"]
    bits = np.frombuffer(b64decode(heads["visible"]), dtype=np.uint8)
    visible = np.unpackbits(bits, count=n_layers * n_heads).astype(bool)
    # Under the name "forced" before there were others than shares of fed answers.
    scores = heads.get("scores", heads.get("forced", {}))
    if heads.get("teacher_forced") is not None:
        # Stored before the model's own choice was asked for as well.
        scores = {"fed-attention": heads["teacher_forced"]}
    return Trial(
        index=record["trial"],
        prompt=prompt,
        tokens=torch.tensor(record["generated_tokens"], dtype=torch.long),
        text=record["generated_text"],
        stop_reason=record["stop_reason"],
        accepted=record["accepted"],
        reason=record["reason"],
        recall=record["recall"],
        recall_measure=record["recall_measure"],
        visible=torch.from_numpy(visible).reshape(n_layers, n_heads),
        attention_mass=_tensor(heads["attention_mass"], n_layers, n_heads),
        recorded_scores={name: _tensor(text, n_layers, n_heads) for name, text in scores.items()},
        n_ties=record["n_ties"],
    )


def read_events(lines: Sequence[dict[str, Any]]) -> list[pd.DataFrame]:
    """The copy-paste events of each of some lines of `heads.jsonl`, as event tables."""
    # One table for all, as pandas takes milliseconds for each.
    columns = {
        name: [value for heads in lines for value in heads["events"][name]]
        for name in EVENT_COLUMNS[1:]
    }
    counts = [heads["n_events"] for heads in lines]
    trials = np.repeat([heads["trial"] for heads in lines], counts)
    dtypes = CopyEvents.join([]).table.dtypes.to_dict()
    table = pd.DataFrame({"trial": trials, **columns}).astype(dtypes)
    ends = [0, *accumulate(counts)]
    return [table[start:stop] for start, stop in pairwise(ends)]


def stored_prompt(record: dict[str, Any]) -> NeedlePrompt:
    """A trial's prompt; token ids that were not saved are `UNKNOWN_TOKEN`, all but the answer's."""
    start, stop = record["answer_span"]
    tokens = torch.full((record["context_length"],), UNKNOWN_TOKEN, dtype=torch.long)
    tokens[start:stop] = torch.tensor(record["answer_tokens"], dtype=torch.long)
    if "prompt_tokens" in record:
        tokens = torch.tensor(record["prompt_tokens"], dtype=torch.long)
    needle_start, needle_stop = record["needle_span"]
    return NeedlePrompt(
        tokens=tokens,
        answer_span=(start, stop),
        needle_span=(needle_start, needle_stop),
        needle=_stored_needle(record),
        context_length=record["context_length"],
        requested_depth=record["requested_depth"],
        depth=record["depth"],
        haystack_name=record["haystack"],
        haystack_sha256=record["haystack_sha256"],
        haystack_start=record["haystack_start"],
        haystack_repeats=record["haystack_repeats"],
        template_name=record["template"],
        # Runs of earlier versions lack these fields, and what they tell of.
        span_is_exact=record.get("span_is_exact", True),
        distractor_spans=_spans(record.get("distractor_spans", [])),
        distractor_answer_spans=_spans(record.get("distractor_answer_spans", [])),
    )


def _stored_needle(record: dict[str, Any]) -> Needle:
    return Needle(
        record["question"],
        record["needle_text"],
        record["answer"],
        alternatives=tuple(record.get("alternatives", ())),
        distractors=tuple(Distractor(*fact) for fact in record.get("distractors", ())),
    )


def _spans(pairs: list[list[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((start, stop) for start, stop in pairs)


def _doubles(values: Float[Tensor, "layer head"]) -> np.ndarray:
    return values.detach().double().cpu().numpy().astype("<f8")


def _text(array: np.ndarray) -> str:
    return b64encode(array.tobytes()).decode("ascii")


def _tensor(text: str, n_layers: int, n_heads: int) -> Float[Tensor, "layer head"]:
    values = np.frombuffer(b64decode(text), dtype="<f8").astype(np.float64)
    return torch.from_numpy(values).reshape(n_layers, n_heads)
