"""Where a chain of thought comes from and where it breaks: its steps, one after the other."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool

from rh_lens.checks import require_type
from rh_lens.detection import copies_from_spans
from rh_lens.evaluation.kept_answers import KeptAnswer
from rh_lens.evaluation.tasks.curve import TaskCurve
from rh_lens.evaluation.tasks.result import TaskResult
from rh_lens.prompts import DocumentPrompt
from rh_lens.runtime.stop import decode_exactly

_STEP_END = re.compile(r"(?<=[.!?])\s+|\n+")
# A step copies where at least this share of its tokens is copied.
_COPIES = 0.5


@dataclass(frozen=True)
class Step:
    """A sentence or line of an answer.

    Args:
        text: The step.
        start: Its first token among the generated ones.
        stop: The one after its last.
    """

    text: str
    start: int
    stop: int


def split_steps(tokenizer: Any, tokens: Sequence[int]) -> list[Step]:
    """The sentences and lines of an answer, as ranges of its tokens.

    A token belongs to the step of its first visible character, a blank one to the step after it.
    """
    text = decode_exactly(tokenizer, tokens)
    ends = [len(decode_exactly(tokenizer, tokens[:n])) for n in range(len(tokens) + 1)]
    cuts = [match.end() for match in _STEP_END.finditer(text) if match.start()]
    numbers = []
    for start, end in pairwise(ends):
        said = text[start:end]
        first = start + len(said) - len(said.lstrip()) if said.strip() else end
        numbers.append(sum(cut <= first for cut in cuts))
    steps = []
    for _, group in groupby(range(len(tokens)), key=numbers.__getitem__):
        places = list(group)
        own = decode_exactly(tokenizer, tokens[places[0] : places[-1] + 1]).strip()
        steps.append(Step(own, places[0], places[-1] + 1))
    return [step for step in steps if step.text]


def copied_tokens(
    answer: KeptAnswer, prompt: DocumentPrompt, spans: Sequence[tuple[int, int]] | None = None
) -> Bool[np.ndarray, "step head"]:
    """Whether each recorded head copied each generated token from the prompt.

    As a copy-paste event (Wu et al. 2024, arXiv:2404.15574), at every step and from any place: the
    head's most-attended position lies in one of the spans and holds the token that is said.

    Args:
        answer: An answer with looks.
        prompt: Its prompt.
        spans: Half-open positions that count; None: the whole document, or the whole prompt where
            there is none.

    Raises:
        ValueError: The answer was given without recorded heads.
    """
    if answer.looks is None:
        raise ValueError(
            "Expected an answer with recorded heads; found one without. Name them: "
            "evaluate_task(..., heads=...)."
        )
    source = torch.from_numpy(answer.looks.source)[:, None]
    chosen = [prompt.source_span] if spans is None else spans
    said = answer.generation.tokens
    return copies_from_spans(source, prompt.tokens, said, chosen)[:, 0].numpy()


def chain_steps(result: TaskResult) -> pd.DataFrame:
    """Which steps of each answer copy from the document, under each condition.

    Args:
        result: From `evaluate_task` or a `task_curve`'s `result`, with recorded `heads`.

    Returns:
        One row a step of an answer: `condition`, `item`, `step` (from 0), `text`, `n_tokens`,
        `copied` (share of its tokens that at least one recorded head copied), `copies` (whether
        that is at least a half), `best_head` (label of the head that copied most; missing where
        none did), `in_answer` (share of its tokens copied from a place of the right answer).

    Raises:
        TypeError: It is no result.
        ValueError: No heads were recorded.

    Examples:
        >>> found = evaluate_task(model, example_task("gsm8k", 2), heads=heads, progress=False)
        >>> chain_steps(found).columns.tolist()[:4]
        ['condition', 'item', 'step', 'text']
    """
    require_type("result", result, TaskResult, remedy="Take it from evaluate_task.")
    _require_heads(result)
    rows = []
    for (condition, place), answer in result.kept.items():
        prompt = result.prompts[place]
        everywhere = copied_tokens(answer, prompt)
        right = copied_tokens(answer, prompt, prompt.answer_spans)
        steps = split_steps(prompt.tokenizer, answer.generation.tokens.tolist())
        for number, step in enumerate(steps):
            own = everywhere[step.start : step.stop]
            by_head = own.sum(0)
            best = result.heads[int(by_head.argmax())].label if by_head.any() else None
            copied = float(own.any(1).mean())
            rows.append(
                {
                    "condition": condition,
                    "item": result.task.items[place].id,
                    "step": number,
                    "text": step.text,
                    "n_tokens": step.stop - step.start,
                    "copied": copied,
                    "copies": copied >= _COPIES,
                    "best_head": best,
                    "in_answer": float(right[step.start : step.stop].any(1).mean()),
                }
            )
    return pd.DataFrame(rows, columns=_STEP_COLUMNS).astype({"best_head": "string"})


def chain_breaks(curve: TaskCurve) -> pd.DataFrame:
    """Which steps fail first when heads go: those that copy, or those that don't.

    An answer of the untouched model breaks at the first of its steps that the silenced model does
    not say token by token. Against the share of copying steps among all steps up to that one, so
    that a break is where a step that copies had its chance.

    Args:
        curve: From `task_curve` with recorded `heads`.

    Returns:
        One row a K and kind ("top", "control", "drawn"): `k`, `kind`, `n_answers` (with a step),
        `broken` (share of them that break), `first_step` (mean number, from 0, of the step that
        fails first), `copies` (share of first failing steps that copy in the untouched answer),
        `copies_before` (share of the steps said right before them that copy).

    Raises:
        TypeError: It is no curve.
        ValueError: No heads were recorded.

    Examples:
        >>> choices = {"ks": [4], "n_controls": 0, "n_rankings": 1, "progress": False}
        >>> task = example_task("gsm8k", 2)
        >>> found = task_curve(model, task, heads, heads=heads, **choices)
        >>> chain_breaks(found).columns.tolist()[:3]
        ['k', 'kind', 'n_answers']
    """
    require_type("curve", curve, TaskCurve, remedy="Take it from task_curve.")
    result = curve.result
    _require_heads(result)
    whole = {place: one for (name, place), one in result.kept.items() if name == "none"}
    steps = {
        place: split_steps(result.prompts[place].tokenizer, one.generation.tokens.tolist())
        for place, one in whole.items()
    }
    copies = {
        place: [
            bool(mask[step.start : step.stop].any(1).mean() >= _COPIES) for step in steps[place]
        ]
        for place, one in whole.items()
        for mask in [copied_tokens(one, result.prompts[place])]
    }
    kinds = {heads.condition: (heads.k, heads.kind) for heads in reversed(curve.plan.sets)}
    rows = []
    for (name, place), answer in result.kept.items():
        if name == "none" or not steps[place]:
            continue
        first = _first_failing(whole[place], answer, [step.stop for step in steps[place]])
        k, kind = kinds[name]
        broken = first is not None
        before = copies[place][: first if broken else len(copies[place])]
        rows.append(
            {
                "k": k,
                "kind": kind,
                "n_answers": 1,
                "broken": broken,
                "first_step": float(first) if first is not None else np.nan,
                "copies": float(copies[place][first]) if first is not None else np.nan,
                "n_before": len(before),
                "copying_before": sum(before),
            }
        )
    return _by_kind(pd.DataFrame(rows, columns=_BREAK_ROWS))


def _first_failing(whole: KeptAnswer, other: KeptAnswer, stops: Sequence[int]) -> int | None:
    """The first step that another answer does not say as the whole one does; None: all are."""
    wanted, said = whole.generation.tokens.tolist(), other.generation.tokens.tolist()
    agreed = next(
        (n for n, (a, b) in enumerate(zip(wanted, said, strict=False)) if a != b),
        min(len(wanted), len(said)),
    )
    return next((number for number, stop in enumerate(stops) if stop > agreed), None)


def _by_kind(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over answers for each K and kind."""
    grouped = rows.groupby(["k", "kind"], sort=True)
    table = grouped.agg(
        n_answers=("n_answers", "sum"),
        broken=("broken", "mean"),
        first_step=("first_step", "mean"),
        copies=("copies", "mean"),
    )
    counts = grouped[["copying_before", "n_before"]].sum()
    table["copies_before"] = counts["copying_before"] / counts["n_before"].where(
        counts["n_before"] > 0
    )
    return table.reset_index()


def _require_heads(result: TaskResult) -> None:
    if not result.heads:
        raise ValueError(
            "Expected recorded heads; found a result without. Name them: "
            "evaluate_task(..., heads=...) or task_curve(..., heads=...)."
        )


_STEP_COLUMNS = "condition item step text n_tokens copied copies best_head in_answer".split()
_BREAK_ROWS = "k kind n_answers broken first_step copies n_before copying_before".split()
