"""Contrastive and amplified decoding beside greedy decoding, on documents that are hard to read."""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import pandas as pd
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rh_lens.checks import (
    require_flag,
    require_list,
    require_number,
    require_type,
    require_whole_number,
)
from rh_lens.evaluation import mean_interval
from rh_lens.evaluation.refusals import is_refusal
from rh_lens.heads import HeadsLike
from rh_lens.prompts import BASE_TEMPLATE, Template
from rh_lens.representation import html_table
from rh_lens.runtime import Bridge
from rh_lens.uses.asked_document import ask_document
from rh_lens.uses.citation_cases import CitationCase
from rh_lens.uses.decoding_ways import DECODING_WAYS, answers_by, require_ways
from rh_lens.uses.listened_answers import is_plain, tokenizer_of

_OUTCOMES = ("right", "other", "refused", "neither")


@dataclass(frozen=True, eq=False)
class ContrastQuality:
    """Answers to the same questions by several ways of decoding.

    Args:
        rows: One row a case, weakening, way and strength: `case`, `kind`, `needle`, `weakened`
            (factor on the heads' outputs while the answer is said; 1 is the model as it is),
            `method`, `strength`, `right` (the answer holds the needle's; False where there is
            none), `other` (it holds a distractor's: of `memory_cases` what is known by heart),
            `refused` (it says that there is no answer, and gives none), `neither` (none of the
            three), `seconds` of processor time, `text`.
    """

    rows: pd.DataFrame

    def __repr__(self) -> str:
        n_ways = len(self.rows[["method", "strength"]].drop_duplicates())
        return f"ContrastQuality({self.rows['case'].nunique()} questions, {n_ways} ways)"

    def _repr_html_(self) -> str:
        return html_table(self.summary(), repr(self), n_rows=60)

    def summary(self, *, level: float = 0.95) -> pd.DataFrame:
        """One row a kind of document, weakening, way and strength.

        Args:
            level: Coverage of the intervals, which are over needles: see `mean_interval`.

        Returns:
            Columns `kind`, `weakened`, `method`, `strength`, `n`; `right`, `right_low`,
            `right_high`, and the same of `other`, `refused` and `neither` (shares of the answers);
            `seconds` (median).

        Raises:
            TypeError: The level is no number.
            ValueError: It is not between 0 and 1.
        """
        require_number("level", level, above=0, below=1)
        table, keys = [], ["kind", "weakened", "method", "strength"]
        for key, rows in self.rows.groupby(keys, sort=False):
            needles = rows["needle"].to_list()
            row: dict[str, Any] = dict(zip(keys, key, strict=True)) | {"n": len(rows)}
            for name in _OUTCOMES:
                values = rows[name].astype(float).to_list()
                row |= mean_interval(values, needles, level=level).named(name)
            table.append(row | {"seconds": rows["seconds"].median()})
        return pd.DataFrame(table)


def contrast_quality(
    model: PreTrainedModel | Bridge,
    cases: Iterable[CitationCase],
    heads: HeadsLike,
    *,
    ways: Mapping[str, Sequence[float]] = DECODING_WAYS,
    weakened: Sequence[float] = (1.0, 0.3),
    tokenizer: PreTrainedTokenizerBase | None = None,
    template: Template = BASE_TEMPLATE,
    max_new_tokens: int = 32,
    progress: bool = True,
) -> ContrastQuality:
    """Answers by greedy decoding, DeCoRe, context-aware decoding, amplified or forced heads.

    | way | strength |
    |---|---|
    | "greedy" | none: 0 |
    | "DeCoRe entropy", "DeCoRe static" | alpha of `contrast_decode` |
    | "context-aware" | alpha of `context_aware_decode`, against the question alone |
    | "amplified" | factor on the heads' outputs, `scale_heads` |
    | "attention bonus" | bonus on the document, `add_attention_bonus`; of a bridge only |

    A model that reads well leaves nothing to improve, so heads can be weakened for all ways alike.

    Args:
        model: A TransformerBridge, or a Hugging Face model for causal language modelling.
        cases: From `citation_cases`, `memory_cases` or `question_cases`.
        heads: Retrieval heads, best found with other needles.
        ways: Strengths to try of each way, by its name.
        weakened: Factors on the heads' outputs, one table part each.
        tokenizer: A fast tokenizer; None takes a bridge's own.
        template: The text around document and question.
        max_new_tokens: Longest answer.
        progress: Whether to show a progress bar.

    Raises:
        TypeError: An argument has the wrong type, or a Hugging Face model comes without tokenizer.
        ValueError: There is no case, no such head or no such way, a number is out of range, or a
            Hugging Face model can't be read in pieces.

    Examples:
        >>> cases = citation_cases(haystack, evaluation_needles()[:1])[:1]
        >>> found = contrast_quality(model, cases, heads, weakened=[1.0], progress=False)
        >>> found
        ContrastQuality(1 questions, 5 ways)
    """
    tokenizer = tokenizer_of(model, tokenizer)
    require_whole_number("max_new_tokens", max_new_tokens, at_least=1)
    cases = require_list("cases", cases, CitationCase, at_least=1)
    require_flag("progress", progress)
    require_type("template", template, Template)
    factors = require_list("weakened", weakened, Real, at_least=1)
    for factor in factors:
        require_number("weakened", factor)
    chosen = require_ways(ways, plain=is_plain(model))
    answers = answers_by(model, tokenizer, heads, template, max_new_tokens)
    rows = []
    for index, case in enumerate(tqdm(cases, desc="decoding", disable=not progress)):
        asked = ask_document(tokenizer, case.document, case.needle.question, template=template)
        for factor in map(float, factors):
            for way, strengths in chosen.items():
                for strength in strengths:
                    began = time.process_time()
                    text = answers.said(asked, way, strength, factor)
                    rows.append(
                        {"case": index, "kind": case.kind, "needle": case.needle.name}
                        | {"weakened": factor, "method": way, "strength": strength}
                        | judged(case, text)
                        | {"seconds": time.process_time() - began, "text": text}
                    )
    return ContrastQuality(pd.DataFrame(rows))


def judged(case: CitationCase, text: str) -> dict[str, bool]:
    """Whose answer it is, under the names of `ContrastQuality.rows`.

    Args:
        case: What was asked.
        text: The answer.
    """
    needle = case.needle
    right = case.answer_span is not None and _says(text, needle.answers)
    other = _says(text, [one.answer for one in needle.distractors])
    refused = not right and not other and is_refusal(text)
    found = (right, other, refused, not (right or other or refused))
    return dict(zip(_OUTCOMES, found, strict=True))


def _says(text: str, answers: Iterable[str]) -> bool:
    """Whether an answer stands in the text, and not inside a longer English word."""
    said = text.casefold()
    return any(
        re.search(rf"(?<![a-z0-9]){re.escape(answer.casefold())}(?![a-z0-9])", said)
        for answer in answers
    )
