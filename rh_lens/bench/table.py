"""The benchmark's table: the methods side by side, in one run."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from tqdm.auto import tqdm

from rh_lens.bench.measure import Measurement, measure
from rh_lens.bench.methods import METHODS, Answers, Bench
from rh_lens.bench.models import (
    BenchModel,
    bench_models,
    bench_prompts,
    packed_bench_prompts,
)
from rh_lens.checks import MAX_REPEATS, require_flag, require_list, require_whole_number
from rh_lens.prompts import NeedlePrompt

# Slow methods are timed on this many prompts of the grid; the table says how many.
N_SLOW_PROMPTS = 2
SLOW = ("b", "c", "d")
PACKED = "f"
# A whole pattern, heads x context x context in fp32, that takes more than this is not tried.
MAX_PATTERN_BYTES = 6e9

_REMEDY = "Take those of run_benchmark."


@dataclass(frozen=True)
class Row:
    """One method on one model and prompt length.

    Args:
        model: Name of the model.
        drafts: Whether the model's answers are what was guessed.
        context_length: Tokens in a prompt.
        method: Letter of the method.
        n_prompts: Prompts that were answered each time.
        seconds: Time a prompt, median of the repeats.
        ratio: Time over method (a)'s in the same repeat: lowest, median, highest.
        megabytes: Peak memory above the loaded model, the highest of the repeats.
        same_tokens: Whether every answer equals method (a)'s; of packed prompts (f), of the first
            ones, which (a) is asked as well, untimed.
    """

    model: str
    drafts: str
    context_length: int
    method: str
    n_prompts: int
    seconds: float
    ratio: tuple[float, float, float]
    megabytes: float | None
    same_tokens: bool


def run_benchmark(
    device: torch.device,
    *,
    quick: bool = False,
    n_repeats: int = 3,
    progress: bool = True,
    done: Sequence[Row] = (),
    dtype: torch.dtype | None = None,
) -> Iterator[list[Row]]:
    """Time every method on every model and length, interleaved, with repeats.

    Args:
        device: Where to run.
        quick: The bundled model only, two lengths.
        n_repeats: How often each method is timed, in turn with the others.
        progress: Whether to show a progress bar.
        done: Rows that are known; their models and lengths are not timed again.
        dtype: Precision of the random weights, as in `bench_models`.

    Yields:
        The rows of one model and length as soon as they are known, one for each method.

    Raises:
        TypeError: An argument is of another type.
        ValueError: `n_repeats` is below 1.

    Examples:
        >>> rows = run_benchmark(torch.device("cpu"), quick=True, n_repeats=1, progress=False)
        >>> iter(rows) is rows  # each next(rows) times one model at one length
        True
    """
    require_whole_number("n_repeats", n_repeats, at_least=1, at_most=MAX_REPEATS)
    require_flag("progress", progress)
    known = {
        (row.model, row.context_length) for row in require_list("done", done, Row, remedy=_REMEDY)
    }
    cells = [
        (model, [length for length in model.lengths if (model.name, length) not in known])
        for model in bench_models(device, quick=quick, dtype=dtype)
    ]
    n_cells = sum(len(lengths) for _, lengths in cells)
    with tqdm(total=n_cells, desc="benchmark", unit="cell", disable=not progress) as bar:
        for model, lengths in cells:
            if not lengths:
                continue
            bench = model.make()
            for length in lengths:
                bar.set_postfix_str(f"{model.name}, {length} tokens")
                yield list(_cell(model, bench, length, n_repeats, device))
                bar.update()


def _cell(
    model: BenchModel, bench: Bench, length: int, n_repeats: int, device: torch.device
) -> Iterator[Row]:
    prompts, packed = bench_prompts(length, model.n_needles), packed_bench_prompts(length)
    methods = [name for name in METHODS if _fits(name, bench, length)]
    asked = {name: packed if name == PACKED else _asked(name, prompts) for name in methods}
    methods = [name for name in methods if asked[name]]
    for name in methods:
        METHODS[name](bench, bench_prompts(64)[:1])
    runs: dict[str, list[Measurement[Answers]]] = {name: [] for name in methods}
    for _ in range(n_repeats):
        for name in methods:
            runs[name].append(_measure(name, bench, asked[name], device))
    plain = [run.seconds / len(prompts) for run in runs["a"]]
    for name, repeats in runs.items():
        expected = _expected(name, bench, asked[name], prompts, runs["a"][0].value)
        seconds = [run.seconds / len(asked[name]) for run in repeats]
        ratios = sorted(mine / other for mine, other in zip(seconds, plain, strict=True))
        memory = [run.megabytes for run in repeats if run.megabytes is not None]
        yield Row(
            model=model.name,
            drafts=model.drafts,
            context_length=length,
            method=name,
            n_prompts=len(asked[name]),
            seconds=statistics.median(seconds),
            ratio=(ratios[0], statistics.median(ratios), ratios[-1]),
            megabytes=max(memory, default=None),
            same_tokens=all(run.value[: len(expected)] == expected for run in repeats),
        )


def _expected(
    name: str,
    bench: Bench,
    asked: Sequence[NeedlePrompt],
    prompts: Sequence[NeedlePrompt],
    said: Answers,
) -> Answers:
    """What method (a) says to the prompts that a method was asked; to packed ones, the first."""
    if name == PACKED:
        return METHODS["a"](bench, asked[:N_SLOW_PROMPTS])
    return [said[prompts.index(prompt)] for prompt in asked]


def _measure(
    name: str, bench: Bench, prompts: Sequence[NeedlePrompt], device: torch.device
) -> Measurement[Answers]:
    return measure(lambda: METHODS[name](bench, prompts), device)


def _asked(name: str, prompts: Sequence[NeedlePrompt]) -> Sequence[NeedlePrompt]:
    """The prompts a method is timed on: of a slow one, some in the middle of the depths."""
    if name not in SLOW:
        return prompts
    middle = len(prompts) // 2
    return prompts[middle : middle + N_SLOW_PROMPTS]


def _fits(name: str, bench: Bench, length: int) -> bool:
    """Whether the method's patterns are small enough to be tried."""
    pattern = 4 * bench.bridge.cfg.n_heads * length**2
    if name == "b":
        return pattern * bench.bridge.cfg.n_layers <= MAX_PATTERN_BYTES
    return name != "c" or 2 * pattern <= MAX_PATTERN_BYTES


def to_dataframe(rows: Sequence[Row]) -> pd.DataFrame:
    """The rows as a table, one line a method, ratios written as "median (lowest-highest)".

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> rows = [Row("bundled", "accepted", 256, "a", 10, 0.04, (1.0, 1.0, 1.0), 5.0, True)]
        >>> to_dataframe(rows).iloc[0].to_dict()
        {'model': 'bundled', 'drafts': 'accepted', 'tokens': 256, 'method': 'a', 'prompts': 10,
         's/prompt': 0.04, 'time / (a)': '1.00 (1.00-1.00)', 'peak MB': 5, 'same tokens': 'yes'}
    """
    require_list("rows", rows, Row, remedy=_REMEDY)
    records = [
        {
            "model": row.model,
            "drafts": row.drafts,
            "tokens": row.context_length,
            "method": row.method,
            "prompts": row.n_prompts,
            "s/prompt": round(row.seconds, 3),
            "time / (a)": f"{row.ratio[1]:.2f} ({row.ratio[0]:.2f}-{row.ratio[2]:.2f})",
            "peak MB": None if row.megabytes is None else round(row.megabytes),
            "same tokens": "yes" if row.same_tokens else "NO",
        }
        for row in rows
    ]
    return pd.DataFrame(records)
