"""Copy-paste events: a head looks at the needle's token that the model says next."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from rh_lens.checks import (
    require_list,
    require_span,
    require_tensor,
    require_type,
    require_whole_number,
)
from rh_lens.detection.sources import AttentionSources
from rh_lens.prompts import AnyPrompt, DocumentPrompt, NeedlePrompt
from rh_lens.prompts.pieces import require_tokenizer
from rh_lens.representation import html_table

_REMEDY = "Make the table with find_copy_events."
_DTYPES = {
    "trial": "int64",
    "step": "int64",
    "layer": "int64",
    "head": "int64",
    "source": "int64",
    "answer_offset": "int64",
    "token_id": "int64",
    "token": "string",
    "weight": "float32",
    "margin": "float32",
    "needle_mass": "float32",
    "sink_mass": "float32",
}

EVENT_COLUMNS = tuple(_DTYPES)
"""Columns of an event table.

`trial` index of the trial; `step` index of the generated token; `layer` and `head` in the model;
`source` absolute position looked at; `answer_offset` the same, counted from the start of the
needle's answer, or of the document;
`token_id` and `token` what was copied; `weight` attention on the source; `margin` how much
less the second most-attended position gets, 0 in a tie; `needle_mass` attention on
the whole answer span; `sink_mass` attention on the first token of the context.
"""


@dataclass(frozen=True, eq=False)
class CopyEvents:
    """Copy-paste events of some trials, one row an event, in the order trial, step, layer, head.

    Args:
        table: Columns and dtypes of `EVENT_COLUMNS`, also when there is no row.

    Raises:
        TypeError: It is no table.
        ValueError: The columns are others.
    """

    table: pd.DataFrame

    def __post_init__(self) -> None:
        require_type("table", self.table, pd.DataFrame, remedy=_REMEDY)
        if tuple(self.table.columns) != EVENT_COLUMNS:
            raise ValueError(
                f"Expected the columns {EVENT_COLUMNS}; found {tuple(self.table.columns)}. "
                f"{_REMEDY}"
            )

    def __repr__(self) -> str:
        n_heads = len(self.table[["layer", "head"]].drop_duplicates())
        n_trials = self.table["trial"].nunique()
        return f"CopyEvents({len(self.table)} events of {n_heads} heads in {n_trials} trials)"

    def _repr_html_(self) -> str:
        return html_table(self.table, repr(self))

    @classmethod
    def join(cls, tables: Iterable[pd.DataFrame]) -> "CopyEvents":
        """Events of all the tables; none of them is an empty table.

        Raises:
            TypeError: One is no table.
            ValueError: One has other columns.
        """
        tables = require_list("tables", tables, pd.DataFrame, remedy=_REMEDY)
        rows = [cls(table).table for table in tables if len(table)] or [_event_table({})]
        return cls(pd.concat(rows, ignore_index=True))

    def of_trials(self, trials: Iterable[int]) -> "CopyEvents":
        """Events of the trials with these indices only.

        Raises:
            TypeError: An index is no whole number.
        """
        remedy = "Pass their indices: [trial.index, ...]."
        kept = self.table["trial"].isin(require_list("trials", trials, Integral, remedy=remedy))
        return CopyEvents(self.table[kept].reset_index(drop=True))

    def to_dataframe(self) -> pd.DataFrame:
        """A copy of the table."""
        return self.table.copy()


def copy_mask(
    source: Int[Tensor, "step layer head"],
    prompt_tokens: Int[Tensor, " pos"],
    generated_tokens: Int[Tensor, " step"],
    answer_span: tuple[int, int],
) -> Bool[Tensor, "step layer head"]:
    """Which rows are copy-paste events.

    Row t of head h is one when its most-attended position j lies in the answer span and holds the
    generated token: x[j] = w_t (Wu et al. 2024, arXiv:2404.15574).

    Args:
        source: Most-attended absolute positions; those after the prompt are no events.
        prompt_tokens: Token ids x.
        generated_tokens: Token ids w.
        answer_span: Half-open span of the answer's positions in the prompt.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A tensor has other axes, the prompt no token, or the span is none of it.

    Examples:
        >>> source = torch.tensor([1, 2]).reshape(2, 1, 1)
        >>> prompt_tokens, said = torch.tensor([5, 6, 7]), torch.tensor([6, 9])
        >>> copy_mask(source, prompt_tokens, said, answer_span=(1, 3)).flatten()
        tensor([ True, False])
    """
    require_copies(source, prompt_tokens, generated_tokens)
    start, stop = require_span("answer_span", answer_span, most=len(prompt_tokens))
    inside = (source >= start) & (source < stop)
    attended = prompt_tokens[source.clamp(max=len(prompt_tokens) - 1)]
    return inside & (attended == generated_tokens[:, None, None])


def copies_from_spans(
    source: Int[Tensor, "step layer head"],
    prompt_tokens: Int[Tensor, " pos"],
    generated_tokens: Int[Tensor, " step"],
    spans: Iterable[tuple[int, int]],
) -> Bool[Tensor, "step layer head"]:
    """Which rows copy from any of several stretches of the prompt: `copy_mask` of one or another.

    Args:
        source: Most-attended absolute positions.
        prompt_tokens: Token ids x.
        generated_tokens: Token ids w.
        spans: Half-open spans of positions in the prompt.

    Raises:
        TypeError: As in `copy_mask`, and so is the next.
        ValueError: A tensor has other axes, or a span is none of the prompt.

    Examples:
        >>> source = torch.tensor([1, 2]).reshape(2, 1, 1)
        >>> prompt_tokens, said = torch.tensor([5, 6, 7]), torch.tensor([6, 7])
        >>> copies_from_spans(source, prompt_tokens, said, [(1, 2), (2, 3)]).flatten()
        tensor([True, True])
    """
    require_copies(source, prompt_tokens, generated_tokens)
    spans = require_list("spans", spans, (tuple, list), remedy="Pass a list of spans.")
    found = torch.zeros_like(source, dtype=torch.bool)
    for span in spans:
        found |= copy_mask(source, prompt_tokens, generated_tokens, span)
    return found


def require_copies(
    source: Int[Tensor, "step layer head"],
    prompt_tokens: Int[Tensor, " pos"],
    generated_tokens: Int[Tensor, " step"],
) -> None:
    """Refuse tensors that can't be searched for copies.

    Raises:
        TypeError: One is no tensor.
        ValueError: One has other axes, the prompt has no token, or the generated tokens are more or
            fewer than the rows.
    """
    require_tensor("source", source, ("step", "layer", "head"), whole=True, empty=True)
    require_tensor("prompt_tokens", prompt_tokens, ("pos",), whole=True)
    require_tensor("generated_tokens", generated_tokens, ("step",), whole=True, empty=True)
    if len(generated_tokens) != len(source):
        raise ValueError(
            f"Expected generated_tokens for each of the {len(source)} rows of source; found "
            f"{len(generated_tokens)}. Select the rows with sources.answer_rows."
        )


def find_copy_events(
    trial: int,
    prompt: AnyPrompt,
    generated_tokens: Int[Tensor, " step"],
    sources: AttentionSources,
    tokenizer: Any,
    *,
    spans: Sequence[tuple[int, int]] | None = None,
) -> pd.DataFrame:
    """Copy-paste events of one answered prompt, one row an event, at every step of the answer.

    Args:
        trial: Index that names the trial.
        prompt: The prompt that was answered.
        generated_tokens: The answer.
        sources: The rows that predicted it, recorded with the prompt's answer span as needle span.
        tokenizer: Turns token ids into the text of the `token` column.
        spans: Half-open positions that may be copied from, such as `[(0, len(prompt.tokens))]`, the
            whole prompt. None: a needle's answer; of a prompt about a document, all of it.

    Returns:
        Columns and dtypes of `EVENT_COLUMNS`.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The number of rows differs from that of the tokens, or the sources were recorded
            without a needle span.

    Examples:
        >>> recorder = SourceRecorder(model, needle_span=prompt.answer_span)
        >>> hooks = recorder.fwd_hooks()
        >>> answer = greedy_decode(model, prompt.tokens, stop=stop, decode_hooks=hooks)
        >>> sources = recorder.result().answer_rows(128, len(answer.tokens))
        >>> table = find_copy_events(0, prompt, answer.tokens, sources, tokenizer)
        >>> table[["step", "layer", "head", "token"]].head(3)
           step  layer  head    token
        0     0      2     2   velvet
        1     0      2     3   velvet
        2     0      2     4   velvet
    """
    require_whole_number("trial", trial, at_least=0)
    kinds = (NeedlePrompt, DocumentPrompt)
    require_type("prompt", prompt, kinds, remedy="Make one with build_prompt.")
    require_tensor("generated_tokens", generated_tokens, ("step",), whole=True, empty=True)
    require_type("sources", sources, AttentionSources, remedy="Take recorder.result().")
    require_tokenizer(tokenizer)
    if sources.n_steps != len(generated_tokens):
        raise ValueError(
            f"Expected one recorded row for each of the {len(generated_tokens)} generated tokens; "
            f"found {sources.n_steps}. Select them: sources.answer_rows(prompt_length, n_steps)."
        )
    needle_mass = sources.require_needle_mass()
    own = prompt.answer_span if isinstance(prompt, NeedlePrompt) else prompt.source_span
    chosen = [own] if spans is None else spans
    mask = copies_from_spans(sources.source, prompt.tokens, generated_tokens, chosen)
    step, layer, head = mask.nonzero(as_tuple=True)
    tokens = generated_tokens[step].tolist()
    text = {token: tokenizer.decode([token]) for token in set(tokens)}
    return _event_table(
        {
            "trial": [trial] * len(tokens),
            "step": step.numpy(),
            "layer": [sources.layers[index] for index in layer.tolist()],
            "head": head.numpy(),
            "source": sources.source[mask].numpy(),
            "answer_offset": (sources.source[mask] - own[0]).numpy(),
            "token_id": tokens,
            "token": [text[token] for token in tokens],
            "weight": sources.weight[mask].numpy(),
            "margin": sources.margin[mask].numpy(),
            "needle_mass": needle_mass[mask].numpy(),
            "sink_mass": sources.sink_mass[mask].numpy(),
        }
    )


def _event_table(columns: dict[str, Any]) -> pd.DataFrame:
    """Table with the event columns in their order and dtypes; missing ones are empty."""
    # Made with their dtypes: to convert twelve columns afterwards takes longer than a pass.
    arrays: dict[str, Any] = {
        name: pd.array(columns.get(name, []), dtype=kind)
        if kind == "string"
        else np.asarray(columns.get(name, []), dtype=kind)
        for name, kind in _DTYPES.items()
    }
    return pd.DataFrame(arrays)
