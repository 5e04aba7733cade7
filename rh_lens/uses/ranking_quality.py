"""How well passages are ordered: by chosen heads, by all heads, and by words."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from rh_lens.checks import (
    refusal,
    require_callable,
    require_flag,
    require_list,
    require_number,
    require_tensor,
    require_type,
    require_whole_number,
)
from rh_lens.evaluation import mean_interval
from rh_lens.heads import HeadsLike
from rh_lens.representation import html_table
from rh_lens.runtime import Bridge
from rh_lens.uses.bm25 import bm25_scores
from rh_lens.uses.ranking import passage_attention
from rh_lens.uses.ranking_cases import RankingCase

RankedQuery: TypeAlias = dict[str, list[float]]
"""Scores of a query's passages by each way, as JSON values."""


def ndcg(scores: Float[Tensor, " passage"], gains: Float[Tensor, " passage"], k: int = 10) -> float:
    r"""Normalised discounted cumulative gain of the first k: how early the relevant ones come.

    $\sum_{i=1}^{k} g_{(i)} / \log_2(i + 1)$ with $g_{(i)}$ the gain at place $i$, divided by its
    value in the best order (Järvelin and Kekäläinen 2002, with linear gains as in BEIR). Of equal
    scores the first comes first; without a relevant passage it is 0.

    Args:
        scores: What orders the passages.
        gains: Their relevance, 0 or more.
        k: Places that count.

    Raises:
        TypeError: An argument is of another type.
        ValueError: Scores and gains are not as many, or k is below 1.

    Examples:
        >>> ndcg(torch.tensor([0.1, 0.9, 0.5]), torch.tensor([0.0, 0.0, 1.0]))
        0.6309...
    """
    found = _in_order(scores, gains, k)
    best = _in_order(gains, gains, k)
    discounts = 1 / torch.arange(2, len(found) + 2, dtype=torch.float64).log2()
    total = (best * discounts).sum()
    return float((found * discounts).sum() / total) if total > 0 else 0.0


def recall_at(scores: Float[Tensor, " passage"], gains: Float[Tensor, " passage"], k: int) -> float:
    """Share of the relevant passages that are among the first k; 0 where none is relevant.

    Args:
        scores: What orders the passages.
        gains: Their relevance; what is above 0 is relevant.
        k: Places that count.

    Raises:
        TypeError: An argument is of another type.
        ValueError: Scores and gains are not as many, or k is below 1.

    Examples:
        >>> recall_at(torch.tensor([0.1, 0.9, 0.5]), torch.tensor([0.0, 0.0, 1.0]), k=2)
        1.0
    """
    found = (_in_order(scores, gains, k) > 0).sum()
    n_relevant = (gains > 0).sum()
    return float(found / n_relevant) if n_relevant else 0.0


@dataclass(frozen=True, eq=False)
class RankingQuality:
    """How well several ways order the same passages.

    Args:
        table: One row a way and query: `method`, `query` (its name), `ndcg`, and a column
            `recall_at_k` for each k.
        k: Places that count for `ndcg`.
        scores: One row a way, query and passage: `method`, `query`, `passage` (its index), `score`
            (more comes first), `gain` (its relevance).
    """

    table: pd.DataFrame
    k: int
    scores: pd.DataFrame

    def __repr__(self) -> str:
        means = self.table.groupby("method", sort=False)["ndcg"].mean()
        said = ", ".join(f"{name} {mean:.2f}" for name, mean in means.items())
        return f"RankingQuality({self.table['query'].nunique()} queries; nDCG@{self.k}: {said})"

    def _repr_html_(self) -> str:
        return html_table(self.summary(), repr(self), n_rows=20)

    def to_dataframe(self) -> pd.DataFrame:
        """A copy of the table."""
        return self.table.copy()

    def summary(self, *, level: float = 0.95) -> pd.DataFrame:
        """One row a way, with an interval of nDCG over queries.

        Args:
            level: Coverage that the interval aims at, see `mean_interval`.

        Returns:
            Columns `method`, `ndcg`, `ndcg_low`, `ndcg_high`, and the mean of each `recall_at_k`.

        Raises:
            TypeError: The level is no number.
            ValueError: It is not between 0 and 1.
        """
        require_number("level", level, above=0, below=1)
        rows: list[dict[str, Any]] = []
        for method, own in self.table.groupby("method", sort=False):
            estimate = mean_interval(own["ndcg"].to_numpy(), own["query"].to_list(), level=level)
            recalls = own.filter(like="recall_at_").mean()
            named = {str(name): value for name, value in recalls.items()}
            rows.append({"method": method} | estimate.named("ndcg") | named)
        return pd.DataFrame(rows)


def ranking_quality(
    model: PreTrainedModel | Bridge,
    cases: Iterable[RankingCase],
    methods: Mapping[str, HeadsLike | None],
    *,
    k: int = 10,
    recall_ks: Sequence[int] = (1, 3),
    bm25: bool = False,
    done: Mapping[str, RankedQuery] = MappingProxyType({}),
    on_query: Callable[[str, RankedQuery], object] | None = None,
    progress: bool = True,
    **options: Any,
) -> RankingQuality:
    """nDCG and recall of passages in the order that sets of heads, and BM25, give them.

    Args:
        model: A Hugging Face model for causal language modelling, or a TransformerBridge.
        cases: Queries with passages, such as `needle_cases` or `read_beir` give.
        methods: Heads by a name; None stands for all heads.
        k: Places that count for nDCG.
        recall_ks: Places that count for recall.
        bm25: Whether to order by words as well, under the name "BM25"; needs bm25s.
        done: Queries that were read before, with the same model, heads and options: what `on_query`
            was given.
        on_query: Called with a query's name, a hash of it and its passages, and with the scores of
            each way as soon as it is read.
        progress: Whether to show a progress bar.
        options: See `passage_attention`; each prompt is read once for all sets of heads.

    Raises:
        ImportError: bm25s is asked for and not installed.
        TypeError: An argument is of another type.
        ValueError: There is no case or no set of heads, or an argument is out of range.

    Examples:
        >>> ranking_quality(model, [], {"top": heads}, progress=False)
        Traceback (most recent call last):
            ...
        ValueError: ...
    """
    cases = require_list("cases", cases, RankingCase, at_least=1)
    if not isinstance(methods, Mapping) or not methods:
        remedy = "Pass {'retrieval heads': scores.top(10), 'all heads': None}."
        raise TypeError(refusal("methods", "heads by a name, one set or more", methods, remedy))
    require_whole_number("k", k, at_least=1)
    for one in require_list("recall_ks", recall_ks, int, at_least=1):
        require_whole_number("recall_ks", one, at_least=1)
    require_flag("bm25", bm25)
    require_flag("progress", progress)
    require_type("done", done, Mapping)
    if on_query is not None:
        require_callable("on_query", on_query)
    rows, given = [], []
    for case in tqdm(cases, desc="queries", disable=not progress):
        name = _name(case)
        scores = done.get(name)
        if scores is None:
            scores = _scores(model, case, methods, bm25, options)
            if on_query is not None:
                on_query(name, scores)
        gains = torch.tensor(case.gains, dtype=torch.float64)
        for method, values in scores.items():
            own = torch.tensor(values, dtype=torch.float64)
            recalls = {f"recall_at_{n}": recall_at(own, gains, n) for n in recall_ks}
            rows.append(
                {"method": method, "query": case.name, "ndcg": ndcg(own, gains, k), **recalls}
            )
            columns = {"passage": range(len(own)), "score": values, "gain": case.gains}
            given.append(pd.DataFrame({"method": method, "query": case.name} | columns))
    return RankingQuality(pd.DataFrame(rows), k, pd.concat(given, ignore_index=True))


def _name(case: RankingCase) -> str:
    """A query with its passages in few characters."""
    text = json.dumps([case.query, case.passages], ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _scores(
    model: PreTrainedModel | Bridge,
    case: RankingCase,
    methods: Mapping[str, HeadsLike | None],
    bm25: bool,
    options: Mapping[str, Any],
) -> RankedQuery:
    """Scores of the passages by each way."""
    found = passage_attention(model, case.query, case.passages, **options)
    scores = {name: found.scores(heads).tolist() for name, heads in methods.items()}
    if bm25:
        scores["BM25"] = bm25_scores(case.query, case.passages).tolist()
    return scores


def _in_order(
    scores: Float[Tensor, " passage"], gains: Float[Tensor, " passage"], k: int
) -> Float[Tensor, " place"]:
    """Gains of the first k passages."""
    require_tensor("scores", scores, ("passage",))
    require_tensor("gains", gains, ("passage",))
    require_whole_number("k", k, at_least=1)
    if len(scores) != len(gains):
        raise ValueError(
            f"Expected as many scores as gains; found {len(scores)} and {len(gains)}. Give every "
            "passage both."
        )
    return gains.double()[scores.argsort(descending=True, stable=True)][:k]
