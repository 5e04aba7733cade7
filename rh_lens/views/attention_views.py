"""Where heads look while a model answers, token by token (CircuitsVis)."""

from html import escape
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_text, require_type, require_whole_number, shown
from rh_lens.detection import AnswerPatterns, RetrievalResult
from rh_lens.evaluation import RecallResult
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions.editing import require_heads
from rh_lens.prompts import NeedlePrompt
from rh_lens.views.crop import Crop, answer_ids, crop
from rh_lens.views.offline_view import OfflineView, about_nan, offline_view

MAX_TOKENS = 20_000
"""Most tokens of `view_sources`: 16,000 take a browser about 5 seconds."""
MAX_HEADS = 12
"""Most heads of a view."""
MAX_SQUARE = 160
"""Most tokens of `view_patterns`: 12 heads x 128 tokens take a browser 9 seconds."""


def view_sources(
    result: RecallResult | RetrievalResult,
    trial: int,
    heads: HeadsLike,
    *,
    condition: str | None = None,
    around: int | None = None,
) -> OfflineView:
    """The context of one answer, coloured by how often each head looked there while answering.

    A token's value for a head is the share of the answer's steps at which the head's most-attended
    position was that token. One button a head; pointing at a token tells all values. The needle is
    underlined, its answer bold.

    Args:
        result: A `RecallResult` measured with `heads`, which has every look; or a detection run,
            whose events are the looks that copied, so that only these are shown.
        trial: Index of the prompt.
        heads: Up to 12 of the heads.
        condition: Of a recall; None takes the first.
        around: Tokens shown before and after the needle, with the first token and the question;
            None shows the whole context.

    Returns:
        A view that shows itself in a notebook and `.save(path)`s a page, both without network.

    Raises:
        ImportError: CircuitsVis is not installed.
        TypeError: An argument is of another type.
        ValueError: There is no such trial, head or condition, nothing was recorded, the prompt's
            tokens were not saved, or there are too many tokens or heads.

    Examples:
        >>> view_sources(result, 0, heads).save("sources.html")
    """
    remedy = "Take it from needle_recall(..., heads=...) or detect_retrieval_heads."
    require_type("result", result, (RecallResult, RetrievalResult), remedy=remedy)
    chosen = _chosen(heads)
    require_whole_number("trial", trial, at_least=0, remedy="Name a prompt by its index.")
    if condition is not None:
        require_text("condition", condition)
    if around is not None:
        require_whole_number("around", around, at_least=0)
    if isinstance(result, RecallResult):
        prompt, answer, looks, what = _looks(result, trial, chosen, condition)
    else:
        prompt, answer, looks, what = _copies(result, trial, chosen, condition)
    part = crop(prompt, len(answer), around)
    _require_size(len(part.places), MAX_TOKENS, "around=200")
    values = torch.zeros(part.n_tokens, len(chosen))
    for column, head in enumerate(chosen):
        of_head = looks[(looks["layer"] == head.layer) & (looks["head"] == head.head)]
        for source in of_head["source"]:
            values[source, column] += 1 / len(answer)
    caption = f"Trial {trial}: share of the {len(answer)} steps of the answer at which {what}. "
    texts = part.texts(answer_ids(prompt, answer), _tokenizer(prompt, result))
    pairs = zip(texts, part.places, strict=True)
    return offline_view(
        "ColoredTokensMulti",
        caption + part.caption(),
        tokens=[_marked(text, place, part) for text, place in pairs],
        values=_taken(values, part),
        labels=[head.label for head in chosen],
    )


def view_patterns(found: AnswerPatterns, *, around: int = 8) -> OfflineView:
    """Attention patterns of some heads while answering, on a crop of the context.

    Rows are the tokens whose rows predicted the answer; all other rows are left empty, as they were
    not recorded. Attention on tokens that are left out is not shown: rows need not sum to 1.

    Args:
        found: From `answer_patterns`, of up to 12 heads.
        around: Tokens shown before and after the needle, with the first token, the end of the
            question and the answer.

    Returns:
        A view that shows itself in a notebook and `.save(path)`s a page, both without network.

    Raises:
        ImportError: CircuitsVis is not installed.
        TypeError: An argument is of another type.
        ValueError: There are too many tokens or heads.

    Examples:
        >>> found = answer_patterns(model, prompt, trials[0].tokens, heads[:2])
        >>> view_patterns(found).save("patterns.html")
    """
    require_type("found", found, AnswerPatterns, remedy="Make it with answer_patterns.")
    require_whole_number("around", around, at_least=0)
    _chosen(found.heads)
    part = crop(found.prompt, len(found.answer), around)
    _require_size(len(part.places), MAX_SQUARE, "a smaller around, such as around=2")
    patterns, n_rows = _square(found, part), len(found.answer)
    caption = (
        f"Attention of the {n_rows} rows that predicted the answer, on {len(part.places)} places. "
        f"{part.caption()} Other rows were not recorded.{about_nan(found.pattern)}"
    )
    texts = part.texts(answer_ids(found.prompt, found.answer), _tokenizer(found.prompt))
    return offline_view(
        "AttentionHeads",
        caption,
        attention=patterns,
        tokens=texts,
        attentionHeadNames=[head.label for head in found.heads],
        maxValue=1.0,
        minValue=0.0,
    )


def _chosen(heads: HeadsLike) -> tuple[Head, ...]:
    """One to twelve heads."""
    chosen = as_heads(heads)
    if not 1 <= len(chosen) <= MAX_HEADS:
        raise ValueError(
            f"Expected 1 to {MAX_HEADS} heads; found {len(chosen)}. Choose the ones to compare: "
            "result.top(4)."
        )
    return chosen


def _require_size(n_places: int, most: int, remedy: str) -> None:
    if n_places > most:
        raise ValueError(
            f"Expected at most {most:,} tokens, as a browser would take minutes for more; found "
            f"{n_places:,}. Show fewer: {remedy}."
        )


def _looks(
    result: RecallResult, trial: int, heads: tuple[Head, ...], condition: str | None
) -> tuple[NeedlePrompt, Tensor, pd.DataFrame, str]:
    """Every look of one answer of a recall."""
    condition = result.conditions[0] if condition is None else condition
    table = result.activity
    if table is None:
        raise ValueError(
            "Expected a recall with recorded heads; found none. Measure it with heads: "
            "needle_recall(model, prompts, heads=result.top(4))."
        )
    known = {
        Head(*place) for place in table[["layer", "head"]].drop_duplicates().to_numpy().tolist()
    }
    absent = [head.label for head in heads if head not in known]
    if absent or (condition, trial) not in result.tokens:
        raise ValueError(
            f"Expected a condition of {shown(list(result.conditions))}, a trial below "
            f"{len(result.prompts)} and heads that were recorded; found {shown(condition)}, "
            f"{trial} and {shown([head.label for head in heads])}, of which not recorded: "
            f"{shown(absent)}. Name others, or record them: needle_recall(..., heads=...)."
        )
    looks = table[(table["condition"] == condition) & (table["trial"] == trial)]
    return (
        result.prompts[trial],
        result.tokens[condition, trial],
        looks,
        (f"each head looked most at a token (condition {condition})"),
    )


def _copies(
    result: RetrievalResult, trial: int, heads: tuple[Head, ...], condition: str | None
) -> tuple[NeedlePrompt, Tensor, pd.DataFrame, str]:
    """The copies of one answer of a detection run."""
    trials = {one.index: one for one in result.trials}
    if trial not in trials:
        raise ValueError(
            f"Expected trial to be the index of one of {len(trials)} trials; found {shown(trial)}. "
            "Choose one of result.trials."
        )
    if condition is not None:
        raise ValueError(
            f"Expected no condition for a detection run; found {shown(condition)}. Leave it out."
        )
    n_layers, n_heads = result.scores.values.shape[1:]
    require_heads(heads, dict.fromkeys(range(n_layers), n_heads))
    table = result.events.table
    looks = table[table["trial"] == trial]
    return trials[trial].prompt, trials[trial].tokens, looks, "each head copied a token"


def _tokenizer(prompt: NeedlePrompt, result: object = None) -> Any:
    """What turns token ids into text."""
    found = prompt.tokenizer if prompt.tokenizer is not None else getattr(result, "tokenizer", None)
    if found is None:
        raise ValueError(
            "Expected a prompt with the tokenizer it was built with; found none, as in a prompt "
            "read from a file. Load the run with its prompts: load_run(path, prompts=prompts)."
        )
    return found


def _marked(text: str, place: int | None, part: Crop) -> str:
    """A token as HTML: escaped, underlined in the needle, bold in its answer, grey for a gap."""
    safe = escape(text).replace("\n", "\u23ce")
    if place is None:
        return f"<i>{safe}</i>"
    safe = f"<b>{safe}</b>" if place in part.answer else safe
    return f"<u>{safe}</u>" if place in part.needle else safe


def _taken(values: Float[Tensor, "pos head"], part: Crop) -> Float[Tensor, "place head"]:
    """Values of the places that are shown; 0 in a gap."""
    padded = torch.cat([values, values.new_zeros(1, values.shape[1])])
    return padded[[len(values) if place is None else place for place in part.places]]


def _square(found: AnswerPatterns, part: Crop) -> Float[Tensor, "head place place"]:
    """Recorded rows at their own places; the rest is 0."""
    n_heads, n_rows, n_keys = found.pattern.shape
    padded = torch.cat(
        [found.pattern, found.pattern.new_zeros(n_heads, n_rows, part.n_tokens + 1 - n_keys)], dim=2
    )
    columns = [part.n_tokens if place is None else place for place in part.places]
    square = padded.new_zeros(n_heads, len(columns), len(columns))
    first = len(found.prompt.tokens) - 1
    for row, place in enumerate(part.places):
        if place is not None and first <= place < first + n_rows:
            square[:, row] = padded[:, place - first][:, columns]
    return square
