"""Passages in the order of the attention that a question pays them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rh_lens.checks import require_list, require_text
from rh_lens.heads import Head, HeadsLike, as_heads, every_head
from rh_lens.prompts import BASE_TEMPLATE, Template
from rh_lens.prompts.pieces import require_tokenizer
from rh_lens.runtime import Bridge
from rh_lens.uses.asked_document import AskedDocument, ask_document
from rh_lens.uses.model_shape import hf_model_of
from rh_lens.uses.question_rows import question_rows

SEPARATOR = "\n\n"
NULL_QUERY = "N/A"
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class PassageAttention:
    """What every head's attention says of passages.

    Args:
        values: Mean attention of the question's tokens on each token of the passages, less that of
            the null query's.
        spans: Half-open stretch of each passage along `values`.
    """

    values: Float[Tensor, "layer head pos"]
    spans: tuple[tuple[int, int], ...]

    def __repr__(self) -> str:
        n_layers, n_heads, n_tokens = self.values.shape
        return (
            f"PassageAttention({len(self.spans)} passages of {n_tokens} tokens, {n_layers} layers "
            f"of {n_heads} heads)"
        )

    def scores(self, heads: HeadsLike | None = None) -> Float[Tensor, " passage"]:
        r"""Score of each passage by some heads.

        $s(d) = \sum_{j \in d} [a_j \ge \mu_d - 2 \sigma_d]\, a_j$ with $a_j$ the calibrated
        attention on token $j$, summed over the heads, and $\mu_d$, $\sigma_d$ its mean and
        standard deviation over the passage: tokens that calibration pushes far down do not count
        (QRHead, arXiv:2506.09944; its published code).

        Args:
            heads: In any notation of `as_heads`; None: all.

        Raises:
            TypeError: They are no heads.
            ValueError: There is none, or the model does not have one.
        """
        n_layers, n_heads, _ = self.values.shape
        chosen = (
            every_head(n_layers, n_heads) if heads is None else list(dict.fromkeys(as_heads(heads)))
        )
        _require(chosen, n_layers, n_heads)
        layers, indices = zip(*((head.layer, head.head) for head in chosen), strict=True)
        tokens = self.values[list(layers), list(indices)].double().sum(dim=0)
        return torch.stack([_passage_score(tokens[start:stop]) for start, stop in self.spans])


def passage_attention(
    model: PreTrainedModel | Bridge,
    query: str,
    passages: Sequence[str],
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    null_query: str | None = NULL_QUERY,
    template: Template = BASE_TEMPLATE,
) -> PassageAttention:
    """How much attention each head pays to the tokens of passages while it reads a query.

    The prompt holds the passages, then the query with what the template has around it; the rows are
    those after the passages, and are averaged. A null query after the same passages, read from the
    same cache, shows what a head attends to whatever is asked, and is subtracted (calibration,
    Chen et al. 2024, arXiv:2410.02642; QRHead, arXiv:2506.09944).

    Args:
        model: A Hugging Face model for causal language modelling, or a TransformerBridge.
        query: What is asked.
        passages: Texts, as many as the model can read at once.
        tokenizer: A fast tokenizer; None takes a bridge's own.
        null_query: A query without content; None: nothing is subtracted.
        template: The text around passages and query.

    Raises:
        TypeError: An argument is of another type, or a Hugging Face model comes without tokenizer.
        ValueError: There is no passage, a text is blank, or the prompt is too long.

    Examples:
        >>> passages = ["It rained all day.", "The brass key is under the mat."]
        >>> found = passage_attention(model, "Where is the brass key?", passages)
        >>> found.scores(heads).argmax().item()
        1
    """
    hf_model_of(model)
    tokenizer = getattr(model, "tokenizer", None) if tokenizer is None else tokenizer
    require_tokenizer(tokenizer)
    require_text("query", query)
    if null_query is not None:
        require_text("null_query", null_query)
    passages = require_list("passages", passages, str, at_least=1)
    for passage in passages:
        require_text("a passage", passage)
    asked = asked_passages(tokenizer, query, passages, template)
    closings = [_closing(asked)]
    if null_query is not None:
        closings.append(_closing(asked_passages(tokenizer, null_query, passages, template)))
    stops = list(accumulate((len(passage) for passage in passages), _next_stop))
    places = [(stop - len(p), stop) for p, stop in zip(passages, stops, strict=True)]
    start, stop = asked.span
    rows = question_rows(model, asked.prompt.tokens[:stop], closings)
    means = [r.float().mean(dim=2)[:, :, start:stop] for r in rows]
    values = means[0] - means[1] if len(means) > 1 else means[0]
    return PassageAttention(values, tuple(_tokens_of(asked, *place) for place in places))


def asked_passages(
    tokenizer: PreTrainedTokenizerBase, query: str, passages: Sequence[str], template: Template
) -> AskedDocument:
    """The prompt in which a query follows passages."""
    return ask_document(tokenizer, SEPARATOR.join(passages), query, template=template)


def rank_passages(
    model: PreTrainedModel | Bridge,
    query: str,
    passages: Sequence[str],
    heads: HeadsLike | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Passages in the order of the attention that some heads pay them for a query, best first.

    Args:
        model: A Hugging Face model for causal language modelling, or a TransformerBridge.
        query: What is asked.
        passages: Texts, as many as the model can read at once.
        heads: Which heads, such as retrieval heads; None: all.
        options: See `passage_attention`.

    Returns:
        Columns `passage` (its index), `score`, `text`; of equal scores the first comes first.

    Raises:
        TypeError: An argument is of another type.
        ValueError: An argument is out of range; see `passage_attention`.

    Examples:
        >>> passages = ["It rained all day.", "The brass key is under the mat."]
        >>> rank_passages(model, "Where is the brass key?", passages, heads)["passage"].tolist()
        [1, 0]
    """
    if heads is not None:
        heads = as_heads(heads)
    scores = passage_attention(model, query, passages, **options).scores(heads)
    order = scores.argsort(descending=True, stable=True).tolist()
    texts = list(passages)
    rows = [{"passage": i, "score": float(scores[i]), "text": texts[i]} for i in order]
    return pd.DataFrame(rows)


def _next_stop(stop: int, length: int) -> int:
    return stop + len(SEPARATOR) + length


def _passage_score(tokens: Float[Tensor, " pos"]) -> Float[Tensor, ""]:
    if len(tokens) < 2:
        return tokens.sum()
    # Rounding must not leave out all of a passage whose tokens are alike.
    kept = tokens.mean() - tokens <= 2 * tokens.std() + _ROUNDING
    return (tokens * kept).sum()


def _closing(asked: AskedDocument) -> Int[Tensor, " pos"]:
    return asked.prompt.tokens[asked.span[1] :]


def _tokens_of(asked: AskedDocument, start: int, stop: int) -> tuple[int, int]:
    """Half-open tokens of the document, counted from its first, that cover its characters."""
    covering = np.flatnonzero((asked.starts < stop) & (asked.ends > start))
    return int(covering[0]), int(covering[-1]) + 1


def _require(heads: Sequence[Head], n_layers: int, n_heads: int) -> None:
    wrong = [head.label for head in heads if head.layer >= n_layers or head.head >= n_heads]
    if wrong or not heads:
        raise ValueError(
            f"Expected heads of a model with {n_layers} layers of {n_heads}, one or more; found "
            f"{wrong[0] if wrong else 'none'}. Pass scores.top(k)."
        )
