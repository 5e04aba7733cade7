"""What is left of recall when only some key-value groups keep the whole context."""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from rh_lens.checks import (
    require_callable,
    require_list,
    require_number,
    require_seed,
    require_tensor,
    require_type,
    require_whole_number,
)
from rh_lens.evaluation import mean_interval
from rh_lens.evaluation.tasks import Task, task_prompts
from rh_lens.prompts import NeedlePrompt
from rh_lens.representation import html_table
from rh_lens.runtime import Bridge, StopRule
from rh_lens.uses.cached_answers import cache_reader
from rh_lens.uses.model_shape import attention_shape, hf_model_of
from rh_lens.uses.windows import group_scores, windows_by_share

MeasuredCache: TypeAlias = dict[str, Any]
"""What one cache gave, as JSON values: `answers` and `reading` (rows), `nll`."""

STRATEGIES = ("retrieval heads", "random groups", "first layers")
"""Which groups keep the whole context. At equal shares their caches are of equal size."""


@dataclass(frozen=True, eq=False)
class CompressionCurve:
    """Recall against the size of the cache.

    Args:
        answers: One row a strategy, share, draw and prompt: `strategy`, `share` (of the groups that
            keep everything), `n_full` (that many groups), `draw` (of random groups; else 0),
            `trial`, `needle`, `context_length`, `recall` (ROUGE-1, 0 to 1), `retrieved`, `n_bytes`
            (allocated by the cache when the answer had ended), `text`.
        losses: One row a strategy, share and draw: `nll`, the mean loss of a text in nats a token;
            NaN without a text.
        reading: One row a strategy, share, draw and item of a task: `item`, `unit` (its document),
            `score` (0 to 1), `metric` (which score), `text`; empty without a task.
        sink: First positions that every group keeps.
        recent: Window of groups that don't keep everything, in tokens.
    """

    answers: pd.DataFrame
    losses: pd.DataFrame
    reading: pd.DataFrame
    sink: int
    recent: int

    def __repr__(self) -> str:
        n_prompts = self.answers["trial"].nunique()
        return f"CompressionCurve({n_prompts} prompts, {len(self.losses)} caches)"

    def _repr_html_(self) -> str:
        return html_table(self.summary(), repr(self), n_rows=30)

    def summary(self, *, level: float = 0.95) -> pd.DataFrame:
        """One row a strategy and share.

        Args:
            level: Coverage that the intervals aim at; they are over needles, see `mean_interval`.

        Returns:
            Columns `strategy`, `share`, `n_full`, `n_bytes` (mean over the answers), `of_full`
            (against the largest cache), `recall`, `recall_low`, `recall_high`, `n_draws`,
            `perplexity` (geometric mean over the draws); with a task `reading`, `reading_low`,
            `reading_high`, whose interval is over documents.

        Raises:
            TypeError: The level is no number.
            ValueError: It is not between 0 and 1.
        """
        require_number("level", level, above=0, below=1)
        rows = []
        whole = self.answers.groupby(["strategy", "share"])["n_bytes"].mean().max()
        for key, answers in self.answers.groupby(["strategy", "share", "n_full"], sort=False):
            table = answers.pivot(index="draw", columns="trial", values="recall")
            needles = answers.drop_duplicates("trial").set_index("trial")["needle"]
            recall = mean_interval(table.to_numpy(), needles[table.columns].to_list(), level=level)
            n_bytes = answers["n_bytes"].mean()
            at = (self.losses["strategy"] == key[0]) & (self.losses["share"] == key[1])
            rows.append(
                dict(zip(("strategy", "share", "n_full"), key, strict=True))
                | {"n_bytes": n_bytes, "of_full": n_bytes / whole}
                | recall.named("recall")
                | {
                    "n_draws": len(table),
                    "perplexity": math.exp(self.losses.loc[at, "nll"].mean()),
                }
                | self._reading(answers["strategy"].iloc[0], answers["share"].iloc[0], level)
            )
        return pd.DataFrame(rows)

    def _reading(self, strategy: str, share: float, level: float) -> dict[str, float]:
        """Mean score of a task's items through one kind of cache, with its interval."""
        if self.reading.empty:
            return {}
        rows = self.reading.query("strategy == @strategy and share == @share")
        table = rows.pivot(index="draw", columns="item", values="score")
        units = rows.drop_duplicates("item").set_index("item")["unit"]
        found = mean_interval(table.to_numpy(), units[table.columns].to_list(), level=level)
        return found.named("reading")


def compression_curve(
    model: PreTrainedModel | Bridge,
    prompts: Iterable[NeedlePrompt],
    scores: Float[Tensor, "layer head"],
    *,
    shares: Sequence[float] = (0.0, 0.1, 0.25, 0.5, 1.0),
    sink: int = 4,
    recent: int = 64,
    n_random: int = 5,
    seed: int = 0,
    text: Int[Tensor, " pos"] | None = None,
    task: Task | None = None,
    tokenizer: Any = None,
    stop: StopRule | None = None,
    max_new_tokens: int | None = None,
    chunk: int = 512,
    done: Mapping[str, MeasuredCache] = MappingProxyType({}),
    on_cache: Callable[[str, MeasuredCache], object] | None = None,
    progress: bool = True,
) -> CompressionCurve:
    """Needle recall when a share of the key-value groups keeps the context, the others a window.

    Three ways to choose the groups, at equal size: by retrieval score (as DuoAttention does with
    its own scores, arXiv:2410.10819), at random, and from the first layer on. At share 0 nothing
    but windows is left (StreamingLLM, arXiv:2309.17453), at share 1 the cache is whole. The prompt
    is read through the compressed cache, too.

    Args:
        model: A Hugging Face model for causal language modelling, or a TransformerBridge.
        prompts: Needle prompts, best with other needles than the scores come from.
        scores: Retrieval scores of all heads, such as `result.scores.mean()`.
        shares: Shares of all groups that keep everything.
        sink: First positions that every group keeps.
        recent: Window of the other groups, in tokens.
        n_random: Draws of random groups for each share.
        seed: Seed of the draws.
        text: Token ids of plain text whose perplexity is measured through each cache; None: none.
        task: Questions about documents that are answered through each cache; None: none.
        tokenizer: The model's; None takes a bridge's own.
        stop: What ends an answer. None: end of sequence and newline.
        max_new_tokens: Longest answer. None: 32, or one and a half of the longest needle answer.
        chunk: Tokens of a prompt that are read in one pass.
        done: Caches that were measured before, of the same model, prompts, task and text: what
            `on_cache` was given.
        on_cache: Called with a cache's name and what it gave as soon as it is measured.
        progress: Whether to show a progress bar.

    Raises:
        TypeError: An argument is of another type, or a Hugging Face model comes without tokenizer.
        ValueError: An argument is out of range, or the model's attention can't be exchanged.

    Examples:
        >>> choices = {"shares": (0.0, 0.25), "recent": 32, "n_random": 1, "progress": False}
        >>> found = compression_curve(model, new_prompts, scores.mean(), **choices)
        >>> found.summary().columns.tolist()[:3]
        ['strategy', 'share', 'n_full']
    """
    reader = cache_reader(
        model,
        prompts,
        tokenizer=tokenizer,
        stop=stop,
        sink=sink,
        max_new_tokens=max_new_tokens,
        chunk=chunk,
        progress=progress,
    )
    groups = group_scores(scores, attention_shape(hf_model_of(model)).n_groups)
    _require(shares, n_random, seed, text, task)
    require_type("done", done, Mapping)
    if on_cache is not None:
        require_callable("on_cache", on_cache)
    plan = list(_plan(groups, shares, recent, n_random, seed))
    asked = [] if task is None else task_prompts(reader.tokenizer, task)
    rows, losses, reading = [], [], []
    measured = dict(done)
    for where, windows in tqdm(plan, desc="caches", disable=not progress):
        # Nothing and everything is the same by any name.
        name = hashlib.sha256(windows.numpy().tobytes()).hexdigest()[:32]
        if name not in measured:
            nll = None if text is None else reader.losses(text, windows).mean().item()
            read = [] if task is None else reader.task_answers(task, asked, windows)
            measured[name] = {"answers": reader.answers(windows), "nll": nll, "reading": read}
            if on_cache is not None:
                on_cache(name, measured[name])
        found = measured[name]
        rows += [where | row for row in found["answers"]]
        losses.append(where | {"nll": math.nan if found["nll"] is None else found["nll"]})
        metric = {} if task is None else {"metric": task.metric}
        reading += [where | metric | row for row in found["reading"]]
    tables = (pd.DataFrame(rows), pd.DataFrame(losses), pd.DataFrame(reading))
    return CompressionCurve(*tables, sink, recent)


def _require(shares: Any, n_random: Any, seed: Any, text: Any, task: Any) -> None:
    for share in require_list("shares", shares, Real, at_least=1):
        require_number("share", share, at_least=0, at_most=1)
    require_whole_number("n_random", n_random, at_least=1)
    require_seed("seed", seed)
    if text is not None:
        require_tensor("text", text, ("pos",), whole=True)
    if task is not None:
        require_type("task", task, Task, remedy="Make one with load_task.")
        if task.answering != "generate":
            raise ValueError(
                f"Expected a task that is answered by generation; found {task.name!r}, which is "
                "answered by choice. Take another one, such as qa."
            )


def _plan(
    scores: Float[Tensor, "layer group"],
    shares: Sequence[float],
    recent: int,
    n_random: int,
    seed: int,
) -> Iterator[tuple[dict[str, Any], Float[Tensor, "layer group"]]]:
    """Every cache to try: what it is called, and its windows."""
    rng = np.random.default_rng(seed)
    orders = {"retrieval heads": [scores], "first layers": [_first_layers(scores)]}
    orders["random groups"] = [
        torch.from_numpy(rng.random(scores.numel()).reshape(scores.shape)) for _ in range(n_random)
    ]
    for share in dict.fromkeys(shares):
        for strategy in STRATEGIES:
            for draw, order in enumerate(orders[strategy]):
                windows = windows_by_share(order, share, recent=recent)
                n_full = int(windows.isinf().sum())
                where = {"strategy": strategy, "share": share, "n_full": n_full, "draw": draw}
                # Nothing and everything can be chosen in one way only.
                if draw == 0 or 0 < n_full < scores.numel():
                    yield where, windows


def _first_layers(scores: Float[Tensor, "layer group"]) -> Float[Tensor, "layer group"]:
    return -torch.arange(scores.numel(), dtype=scores.dtype).reshape(scores.shape)
