"""A trial as JSON values and tensors, and back: what was asked and said, and what heads did."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rh_lens.checks import require_type
from rh_lens.detection import EVENT_COLUMNS, CopyEvents, Trial
from rh_lens.prompts import Needle, NeedlePrompt, PackedPrompt
from rh_lens.prompts.needle import beside
from rh_lens.runs.log import Entry

UNKNOWN_TOKEN = -1
"""Stands in a stored prompt for token ids that were not saved."""
_NUMERIC_COLUMNS = [name for name in EVENT_COLUMNS if name not in ("trial", "token")]
_SCORE = "recorded_scores."


def trial_record(trial: Trial) -> dict[str, Any]:
    """A trial as JSON values: its line of `trials.jsonl`.

    Fields are named as in `Trial` (`tokens` and `text` are the answer's), `NeedlePrompt` and, after
    "needle.", `Needle`.

    Raises:
        TypeError: It is no trial.

    Examples:
        >>> record = trial_record(trials[0])
        >>> record["text"], record["accepted"]
        (' velvet comet eleven.', True)
    """
    require_type("trial", trial, Trial)
    prompt = trial.prompt
    asked = {name: value for name, value in prompt.content.items() if name != "tokens"}
    said = {name: one for name, one in vars(trial).items() if isinstance(one, str | int | float)}
    del said["index"]
    return {
        "trial": trial.index,
        "needle": prompt.needle.name,
        **asked,
        "haystack_name": prompt.haystack_name,
        "template_name": prompt.template_name,
        "prompt_sha256": prompt.sha256,
        "answer_tokens": prompt.answer_tokens.tolist(),
        **said,
        "tokens": trial.tokens.tolist(),
    }


def entry_record(trial: Trial, events: pd.DataFrame, *, save_prompt: bool) -> dict[str, Any]:
    """The JSON values of a trial's entry in the log: its record, and what events' tokens say.

    Args:
        trial: The trial.
        events: Its copy-paste events.
        save_prompt: Whether the prompt's token ids are part of the record.
    """
    record = trial_record(trial)
    if save_prompt:
        record["prompt_tokens"] = trial.prompt.tokens.tolist()
    return {"trial": record, "event_tokens": events["token"].tolist()}


def trial_tensors(trial: Trial, events: pd.DataFrame) -> dict[str, Tensor]:
    """What the heads did in a trial, exactly as it is.

    Returns:
        The trial's `[layer head]` tensors by name, in fp64 if they are no flags, its recorded
        scores as `recorded_scores.NAME`, and the events' number columns as `events.NAME`.
    """
    tensors = {name: one for name, one in vars(trial).items() if isinstance(one, Tensor)}
    del tensors["tokens"]
    tensors |= {f"{_SCORE}{name}": one for name, one in trial.recorded_scores.items()}
    exact = {
        name: one.double() if one.is_floating_point() else one for name, one in tensors.items()
    }
    columns = {name: events[name].to_numpy(copy=True) for name in _NUMERIC_COLUMNS}
    return exact | {f"events.{name}": torch.from_numpy(one) for name, one in columns.items()}


def read_trial(entry: Entry, prompt: NeedlePrompt | None = None) -> Trial:
    """The trial of an entry.

    Args:
        entry: Of a log of trials.
        prompt: Its prompt; None: as much of it as was saved.
    """
    record, tensors = entry.record["trial"], entry.tensors
    scores = {name: one for name, one in tensors.items() if name.startswith(_SCORE)}
    values = {
        **_fields_of(Trial, record),
        **_fields_of(Trial, tensors),
        "index": record["trial"],
        "prompt": stored_prompt(record) if prompt is None else prompt,
        "tokens": torch.tensor(record["tokens"], dtype=torch.long),
        "recorded_scores": {name.removeprefix(_SCORE): scores[name] for name in scores},
    }
    return Trial(**values)


def read_events(entries: Sequence[Entry]) -> list[pd.DataFrame]:
    """The copy-paste events of each of some entries, as event tables."""
    # One table for all, as pandas takes milliseconds for each.
    said = [entry.record["event_tokens"] for entry in entries]
    counts = [len(tokens) for tokens in said]
    columns: dict[str, Any] = {
        name: np.concatenate([entry.tensors[f"events.{name}"].numpy() for entry in entries])
        for name in _NUMERIC_COLUMNS
        if entries
    }
    columns["trial"] = np.repeat([entry.record["trial"]["trial"] for entry in entries], counts)
    columns["token"] = [token for tokens in said for token in tokens]
    table = pd.DataFrame(columns, columns=list(EVENT_COLUMNS))
    table = table.astype(CopyEvents.join([]).table.dtypes.to_dict())
    return [table[start:stop] for start, stop in pairwise([0, *accumulate(counts)])]


def stored_prompt(record: Mapping[str, Any]) -> NeedlePrompt:
    """A trial's prompt; token ids that were not saved are `UNKNOWN_TOKEN`, all but the answer's."""
    n_tokens = record.get("n_tokens", record["context_length"])
    tokens = torch.full((n_tokens,), UNKNOWN_TOKEN, dtype=torch.long)
    tokens[slice(*record["answer_span"])] = torch.tensor(record["answer_tokens"], dtype=torch.long)
    if "prompt_tokens" in record:
        tokens = torch.tensor(record["prompt_tokens"], dtype=torch.long)
    start = "needle."
    needle = {name.removeprefix(start): one for name, one in record.items() if start in name[:7]}
    right = [needle["answer"], *needle["alternatives"]]
    facts = [(fact["text"], fact["answer"]) for fact in needle["distractors"]]
    needle["distractors"] = [beside(text, answer, right) for text, answer in facts]
    kind = PackedPrompt if "companions" in record else NeedlePrompt
    asked = _fields_of(kind, record)
    return kind(**{**asked, "tokens": tokens, "needle": Needle(**_fields_of(Needle, needle))})


def _fields_of(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a dataclass has fields for; lists of JSON as tuples."""
    return {
        field.name: _as_tuples(values[field.name]) for field in fields(kind) if field.name in values
    }


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(one) for one in value) if isinstance(value, list) else value
