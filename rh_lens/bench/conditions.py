"""Benchmark of many conditions that act on decoding: against one."""

import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from rh_lens.bench.measure import measure
from rh_lens.bench.methods import Bench
from rh_lens.bench.models import BenchModel, bench_models, bench_prompts
from rh_lens.checks import MAX_REPEATS, require_list, require_whole_number
from rh_lens.heads import every_head
from rh_lens.interventions import zero_ablation
from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime import Condition, StopRule, answer_prompts

LENGTH = 2016
N_CONDITIONS = 20
N_SILENCED = 2
_REMEDY = "Take those of benchmark_conditions."


@dataclass(frozen=True)
class ConditionsRow:
    """Twenty conditions against one, on one model.

    Args:
        model: Name of the model.
        drafts: Whether the untouched model's answers are what was guessed.
        context_length: Tokens in a prompt.
        n_conditions: Conditions with one prefill.
        seconds: Time a prompt under all conditions, median of the repeats.
        ratio: Time over that of the untouched model alone: lowest, median, highest.
    """

    model: str
    drafts: str
    context_length: int
    n_conditions: int
    seconds: float
    ratio: tuple[float, float, float]


def benchmark_conditions(
    device: torch.device,
    *,
    quick: bool = False,
    n_repeats: int = 3,
    done: Sequence[ConditionsRow] = (),
) -> Iterator[ConditionsRow]:
    """Time the untouched model with 19 ablations of two random heads, and the model alone.

    Both ask at ten depths. Hooks act on decoding, so that all conditions share each prefill.

    Args:
        device: Where to run.
        quick: The bundled model only.
        n_repeats: How often each is timed, in turn.
        done: Rows that are known; their models are not timed again.

    Raises:
        TypeError: An argument is of another type.
        ValueError: `n_repeats` is below 1.

    Examples:
        >>> known = [ConditionsRow("bundled", "accepted", 2016, 20, 0.2, (1.4, 1.5, 1.6))]
        >>> list(benchmark_conditions(torch.device("cpu"), quick=True, done=known))  # none left
        []
    """
    require_whole_number("n_repeats", n_repeats, at_least=1, at_most=MAX_REPEATS)
    known = {row.model for row in require_list("done", done, ConditionsRow, remedy=_REMEDY)}
    for model in bench_models(device, quick=quick)[:3]:
        if model.name not in known:
            yield _row(model, model.make(), bench_prompts(LENGTH), device, n_repeats)


def _row(
    model: BenchModel,
    bench: Bench,
    prompts: Sequence[NeedlePrompt],
    device: torch.device,
    n_repeats: int,
) -> ConditionsRow:
    many = make_conditions(bench, N_CONDITIONS)
    one = {"untouched": many["untouched"]}
    _answer(bench, prompts[:1], many)
    seconds, ratios = [], []
    for _ in range(n_repeats):
        alone = measure(lambda: _answer(bench, prompts, one), device).seconds
        together = measure(lambda: _answer(bench, prompts, many), device).seconds
        seconds.append(together / len(prompts))
        ratios.append(together / alone)
    return ConditionsRow(
        model=model.name,
        drafts=model.drafts,
        context_length=len(prompts[0].tokens),
        n_conditions=len(many),
        seconds=statistics.median(seconds),
        ratio=(min(ratios), statistics.median(ratios), max(ratios)),
    )


def make_conditions(bench: Bench, n_conditions: int) -> dict[str, Condition]:
    """The untouched model, and zero ablations of random heads, seeded, in decoding only."""
    cfg, rng = bench.bridge.cfg, random.Random(0)
    heads = every_head(cfg.n_layers, cfg.n_heads)
    ablations = {
        f"draw {draw}": Condition(zero_ablation(rng.sample(heads, N_SILENCED)), "decode")
        for draw in range(1, n_conditions)
    }
    return {"untouched": Condition(scope="decode"), **ablations}


def _answer(
    bench: Bench, prompts: Sequence[NeedlePrompt], conditions: Mapping[str, Condition]
) -> None:
    """Answer every prompt under every condition."""
    stop = StopRule(frozenset() if bench.eos is None else frozenset({bench.eos}))
    for _ in answer_prompts(
        bench.bridge, prompts, conditions, max_new_tokens=bench.max_new_tokens, stop=stop
    ):
        pass


def conditions_table(rows: Sequence[ConditionsRow]) -> pd.DataFrame:
    """The rows as a table, ratios written as "median (lowest-highest)".

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> rows = [ConditionsRow("bundled", "accepted", 2016, 20, 0.2, (1.4, 1.5, 1.6))]
        >>> conditions_table(rows).iloc[0].to_dict()
        {'model': 'bundled', 'drafts': 'accepted', 'tokens': 2016, 'conditions': 20, 's/prompt':
         0.2, 'time / one condition': '1.50 (1.40-1.60)'}
    """
    require_list("rows", rows, ConditionsRow, remedy=_REMEDY)
    return pd.DataFrame(
        [
            {
                "model": row.model,
                "drafts": row.drafts,
                "tokens": row.context_length,
                "conditions": row.n_conditions,
                "s/prompt": round(row.seconds, 3),
                "time / one condition": f"{row.ratio[1]:.2f} "
                f"({row.ratio[0]:.2f}-{row.ratio[2]:.2f})",
            }
            for row in rows
        ]
    )
