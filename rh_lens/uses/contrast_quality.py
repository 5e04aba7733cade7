"""Contrastive and amplified decoding beside greedy decoding, on documents that are hard to read."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import pandas as pd
from tqdm.auto import tqdm

from rh_lens.checks import require_flag, require_list, require_number, require_whole_number
from rh_lens.evaluation import mean_interval
from rh_lens.heads import HeadsLike
from rh_lens.interventions import scale_heads
from rh_lens.prompts import BASE_TEMPLATE, Template
from rh_lens.representation import html_table
from rh_lens.runtime import (
    Bridge,
    FwdHooks,
    Generation,
    eos_token_ids,
    greedy_decode,
    require_bridge,
    stop_rule,
)
from rh_lens.uses.asked_document import AskedDocument, ask_document
from rh_lens.uses.citation_cases import CitationCase
from rh_lens.uses.contrast import context_aware_decode, contrast_decode

_Method: TypeAlias = Callable[[AskedDocument, FwdHooks], Generation]


@dataclass(frozen=True, eq=False)
class ContrastQuality:
    """Answers to the same questions by several ways of decoding.

    Args:
        rows: One row a case, weakening and way: `case`, `kind`, `needle`, `weakened` (factor on the
            heads' outputs while the answer is said; 1 is the model as it is), `method`, `right`
            (the answer holds the needle's; False where there is none), `other` (it holds a
            distractor's), `seconds` of processor time, `text`.
    """

    rows: pd.DataFrame

    def __repr__(self) -> str:
        n_methods = self.rows["method"].nunique()
        return f"ContrastQuality({self.rows['case'].nunique()} questions, {n_methods} ways)"

    def _repr_html_(self) -> str:
        return html_table(self.summary(), repr(self), n_rows=60)

    def summary(self, *, level: float = 0.95) -> pd.DataFrame:
        """One row a kind of document, weakening and way.

        Args:
            level: Coverage of the intervals, which are over needles: see `mean_interval`.

        Returns:
            Columns `kind`, `weakened`, `method`, `n`, `right`, `right_low`, `right_high`, `other`
            (share), `seconds` (median).

        Raises:
            TypeError: The level is no number.
            ValueError: It is not between 0 and 1.
        """
        require_number("level", level, above=0, below=1)
        table = []
        for key, rows in self.rows.groupby(["kind", "weakened", "method"], sort=False):
            needles = rows["needle"].to_list()
            right = mean_interval(rows["right"].astype(float).to_list(), needles, level=level)
            table.append(
                dict(zip(("kind", "weakened", "method"), key, strict=True))
                | {"n": len(rows)}
                | right.named("right")
                | {"other": rows["other"].mean(), "seconds": rows["seconds"].median()}
            )
        return pd.DataFrame(table)


def contrast_quality(
    model: Bridge,
    cases: Iterable[CitationCase],
    heads: HeadsLike,
    *,
    weakened: Sequence[float] = (1.0, 0.3),
    amplified: float = 2.0,
    template: Template = BASE_TEMPLATE,
    max_new_tokens: int = 32,
    progress: bool = True,
) -> ContrastQuality:
    """Answers by greedy decoding, DeCoRe, context-aware decoding and amplified heads.

    Ways: "greedy"; "DeCoRe entropy" and "DeCoRe static" (`contrast_decode`, alpha 1); "context-
    aware" (`context_aware_decode`, alpha 0.5, against the question alone); "amplified" (the heads'
    outputs times `amplified`). A model that reads well leaves nothing to improve, so heads can be
    weakened for all ways alike.

    Args:
        model: A TransformerBridge.
        cases: From `citation_cases`.
        heads: Retrieval heads, best found with other needles.
        weakened: Factors on the heads' outputs, one table part each.
        amplified: Factor of the last way.
        template: The text around document and question.
        max_new_tokens: Longest answer.
        progress: Whether to show a progress bar.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no case or no such head, or a number is out of range.

    Examples:
        >>> cases = citation_cases(haystack, evaluation_needles()[:1])[:1]
        >>> found = contrast_quality(model, cases, heads, weakened=[1.0], progress=False)
        >>> found
        ContrastQuality(1 questions, 5 ways)
    """
    require_bridge(model)
    require_whole_number("max_new_tokens", max_new_tokens, at_least=1)
    cases = require_list("cases", cases, CitationCase, at_least=1)
    require_flag("progress", progress)
    factors = require_list("weakened", weakened, Real, at_least=1)
    for factor in factors:
        require_number("weakened", factor)
    require_number("amplified", amplified)
    methods = _methods(model, heads, amplified, template, max_new_tokens)
    rows = []
    for index, case in enumerate(tqdm(cases, desc="decoding", disable=not progress)):
        question = case.needle.question
        asked = ask_document(model.tokenizer, case.document, question, template=template)
        for factor in factors:
            hooks = [] if factor == 1 else scale_heads(heads, float(factor), model=model)
            rows += [
                {"case": index, "weakened": float(factor)} | row
                for row in _answered(case, asked, hooks, methods)
            ]
    return ContrastQuality(pd.DataFrame(rows))


def _answered(
    case: CitationCase, asked: AskedDocument, hooks: FwdHooks, methods: Mapping[str, _Method]
) -> Iterable[dict[str, Any]]:
    """One row a way."""
    for name, method in methods.items():
        began = time.process_time()
        text = method(asked, hooks).text
        seconds = time.process_time() - began
        said = text.casefold()
        has_needle = case.answer_span is not None
        yield {
            "kind": case.kind,
            "needle": case.needle.name,
            "method": name,
            "right": has_needle and any(one.casefold() in said for one in case.needle.answers),
            "other": any(one.answer.casefold() in said for one in case.needle.distractors),
            "seconds": seconds,
            "text": text,
        }


def _methods(
    model: Bridge, heads: HeadsLike, amplified: float, template: Template, n_new: int
) -> dict[str, _Method]:
    """Ways to decode, by name."""
    stop = stop_rule(model.tokenizer, eos=eos_token_ids(model))
    louder = scale_heads(heads, amplified, model=model)

    def greedy(asked: AskedDocument, hooks: FwdHooks) -> Generation:
        tokens = asked.prompt.tokens
        return greedy_decode(model, tokens, max_new_tokens=n_new, stop=stop, decode_hooks=hooks)

    def decore(by: Any) -> _Method:
        return lambda asked, hooks: (
            contrast_decode(
                model, asked.prompt.tokens, heads, by=by, hooks=hooks, max_new_tokens=n_new
            ).generation
        )

    def context_aware(asked: AskedDocument, hooks: FwdHooks) -> Generation:
        alone = template.text.replace("{context}", "").replace("{question}", asked.question)
        return context_aware_decode(
            model, asked.prompt.tokens, alone.strip(), hooks=hooks, max_new_tokens=n_new
        ).generation

    return {
        "greedy": greedy,
        "DeCoRe entropy": decore("entropy"),
        "DeCoRe static": decore("static"),
        "context-aware": context_aware,
        "amplified": lambda asked, hooks: greedy(asked, [*hooks, *louder]),
    }
