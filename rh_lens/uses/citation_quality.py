"""How well sources are cited, beside attention of all heads and a search for the words."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rh_lens.checks import require_flag, require_list, require_number
from rh_lens.evaluation import mean_interval
from rh_lens.heads import HeadsLike
from rh_lens.prompts import BASE_TEMPLATE, Template
from rh_lens.representation import html_table
from rh_lens.runtime import Bridge, attention_layers, must_fire, teacher_force
from rh_lens.uses.citation_cases import CitationCase
from rh_lens.uses.cited_answer import CitedAnswer, cited_answer
from rh_lens.uses.copied_tokens import bare, mean_votes
from rh_lens.uses.listened_answers import fed_answer, is_plain, tokenizer_of
from rh_lens.uses.sources import cite

METHODS = ("retrieval heads", "mean of all heads", "same words")
"""Ways to find the source of an answer."""

_WORD = re.compile(r"\w+")
Span = tuple[int, int]


@dataclass(frozen=True, eq=False)
class CitationQuality:
    """Sources of the same answers by several ways.

    Args:
        rows: One row a case and way: `case`, `kind`, `needle`, `method`, `right` (whether the
            answer holds the needle's; False where there is none to give), `precision` and `recall`
            (of the cited characters against those of the answer's own place, spaces apart;
            precision is NaN where nothing is cited, both where nothing can be), `flagged`
            (unsupported), `text`.
    """

    rows: pd.DataFrame

    def __repr__(self) -> str:
        return f"CitationQuality({self.rows['case'].nunique()} questions)"

    def _repr_html_(self) -> str:
        return html_table(self.summary(), repr(self), n_rows=30)

    def summary(self, *, level: float = 0.95) -> pd.DataFrame:
        """One row a kind of document and way.

        Args:
            level: Coverage of the intervals, which are over needles: see `mean_interval`.

        Returns:
            Columns `kind`, `method`, `n` (answers), `right` (share of them), `precision`,
            `precision_low`, `precision_high`, `recall`, `recall_low`, `recall_high` (over right
            answers; missing where there is none) and `flagged` (share of all answers).

        Raises:
            TypeError: The level is no number.
            ValueError: It is not between 0 and 1.
        """
        require_number("level", level, above=0, below=1)
        table = []
        for (kind, method), rows in self.rows.groupby(["kind", "method"], sort=False):
            row: dict[str, Any] = {"kind": kind, "method": method, "n": len(rows)}
            row["right"] = rows["right"].mean()
            for name in ("precision", "recall"):
                known = rows[rows["right"] & rows[name].notna()]
                if len(known):
                    values, needles = known[name].to_list(), known["needle"].to_list()
                    row |= mean_interval(values, needles, level=level).named(name)
            table.append(row | {"flagged": rows["flagged"].mean()})
        return pd.DataFrame(table)


def citation_quality(
    model: PreTrainedModel | Bridge,
    cases: Iterable[CitationCase],
    heads: HeadsLike,
    *,
    weights: Sequence[float] | None = None,
    least_support: float = 0.25,
    tokenizer: PreTrainedTokenizerBase | None = None,
    template: Template = BASE_TEMPLATE,
    max_new_tokens: int = 32,
    progress: bool = True,
) -> CitationQuality:
    """Precision and recall of cited places, and how often answers are flagged as unsupported.

    Three ways to cite the same greedy answers. "retrieval heads": `cite`. "mean of all heads": the
    position of the document with most attention, averaged over all heads of all layers, where it
    holds the token that is said. "same words": the stretch of as many words as the answer has that
    shares most of them, the first of several.

    Args:
        model: A TransformerBridge, or a Hugging Face model for causal language modelling.
        cases: From `citation_cases` or `question_cases`.
        heads: Retrieval heads, best found with other needles.
        weights: Of the heads, as in `cite`.
        least_support: As in `cite`.
        tokenizer: As in `cite`.
        template: As in `cite`.
        max_new_tokens: Longest answer.
        progress: Whether to show a progress bar.

    Raises:
        TypeError: An argument has the wrong type, or a Hugging Face model comes without tokenizer.
        ValueError: There is no case or no such head, a number is out of range, or a Hugging Face
            model can't be read in pieces.

    Examples:
        >>> cases = citation_cases(haystack, evaluation_needles()[:2])[:2]
        >>> found = citation_quality(model, cases, "L2H4", progress=False).summary()
        >>> found.loc[0, "method"], float(found.loc[0, "precision"])
        ('retrieval heads', 1.0)
    """
    tokenizer = tokenizer_of(model, tokenizer)
    cases = require_list("cases", cases, CitationCase, at_least=1)
    require_flag("progress", progress)
    rows: list[dict[str, Any]] = []
    for index, case in enumerate(tqdm(cases, desc="citing", disable=not progress)):
        ours = cite(
            model, case.document, case.needle.question, heads=heads, weights=weights,
            least_support=least_support, tokenizer=tokenizer, template=template,
            max_new_tokens=max_new_tokens,
        )  # fmt: skip
        every = _by_mean_attention(model, tokenizer, ours)
        words = _same_words(ours.text, case.document)
        found = zip(
            METHODS,
            (_places(ours), _places(every), words),
            (ours.unsupported, every.unsupported, not words),
            strict=True,
        )
        rows += [
            _judged(index, case, ours.text, method, places) | {"flagged": flagged}
            for method, places, flagged in found
        ]
    return CitationQuality(pd.DataFrame(rows))


def _places(answer: CitedAnswer) -> list[Span]:
    return [(span.start, span.stop) for span in answer.spans]


def _judged(
    index: int, case: CitationCase, text: str, method: str, places: Sequence[Span]
) -> dict[str, Any]:
    """One row of the table."""
    precision = recall = float("nan")
    right = False
    if case.answer_span is not None:
        right = any(answer.casefold() in text.casefold() for answer in case.needle.answers)
        gold, cited = (_visible(case.document, one) for one in ([case.answer_span], places))
        common = len(gold & cited)
        precision = common / len(cited) if cited else precision
        recall = common / len(gold)
    return {
        "case": index,
        "kind": case.kind,
        "needle": case.needle.name,
        "method": method,
        "right": right,
        "precision": precision,
        "recall": recall,
        "text": text,
    }


def _visible(document: str, places: Iterable[Span]) -> set[int]:
    """Characters of some places that are no spaces."""
    return {at for place in places for at in range(*place) if not document[at].isspace()}


def _by_mean_attention(
    model: PreTrainedModel | Bridge, tokenizer: PreTrainedTokenizerBase, answer: CitedAnswer
) -> CitedAnswer:
    """The same answer with the sources that attention of all heads together points at."""
    asked = answer.asked
    pieces = answer.tokens[["step", "token_id", "token", "start", "stop"]]
    if not len(pieces):
        return cited_answer(asked, answer.text, pieces, [], answer.heads, 0.0)
    said = torch.tensor(pieces["token_id"].to_list())
    if is_plain(model):
        _, _, attentions = fed_answer(model, asked.prompt, said)
        layers = torch.stack([weights[0].mean(dim=0).float().cpu() for weights in attentions])
        rows = layers.mean(dim=0)[:, : len(asked.prompt.tokens)]
    else:
        rows = mean_attention(model, asked.prompt.tokens, said)
    votes = mean_votes(rows, asked.span)
    texts = [tokenizer.decode([one]) for one in asked.prompt.tokens.tolist()]
    checked = [
        (at, support) if bare(texts[at or 0]) == bare(token) else (None, 0.0)
        for (at, support), token in zip(votes, pieces["token"], strict=True)
    ]
    return cited_answer(asked, answer.text, pieces, checked, answer.heads, 0.0)


def mean_attention(
    model: Bridge, prompt: Int[Tensor, " pos"], answer: Int[Tensor, " row"]
) -> Float[Tensor, "row key"]:
    """Attention of each row that predicts an answer on the prompt, averaged over all heads."""
    layers, n_prompt = attention_layers(model), len(prompt)
    total = torch.zeros(len(answer), n_prompt)
    done = dict.fromkeys(layers, 0)

    def add(pattern: Float[Tensor, "batch head row key"], hook: Any) -> None:
        rows = pattern[0].mean(dim=0).float().cpu()
        first, n_read = done[hook.layer()], n_prompt + done[hook.layer()] + len(rows) - 1
        # A window may have dropped the first keys.
        before = n_read - rows.shape[1]
        total[first : first + len(rows), before:] += rows[:, : n_prompt - before]
        done[hook.layer()] += len(rows)

    hooks = [(f"blocks.{layer}.attn.hook_pattern", add) for layer in layers]
    with must_fire(hooks) as watched:
        teacher_force(model, prompt, answer, decode_hooks=list(watched))
    return total / len(layers)


def _same_words(answer: str, document: str) -> list[Span]:
    """The first stretch of as many words as the answer's that shares most of them, half or more."""
    wanted = Counter(word.casefold() for word in _WORD.findall(answer))
    words = list(_WORD.finditer(document))
    size = min(wanted.total(), len(words))
    if not size:
        return []

    def shared(first: int) -> int:
        here = Counter(word[0].casefold() for word in words[first : first + size])
        return (wanted & here).total()

    best = max(range(len(words) - size + 1), key=shared)
    if 2 * shared(best) < size:
        return []
    return [(words[best].start(), words[best + size - 1].end())]
