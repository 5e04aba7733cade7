"""Benchmark of a whole finding: what the published grid's heads and scores cost."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import pandas as pd
import torch

from rh_lens.bench.agreement import Agreement, agreement
from rh_lens.bench.clocked_run import clocked_run
from rh_lens.bench.measure import measure
from rh_lens.bench.methods import METHODS, Bench
from rh_lens.bench.models import bench_prompts, bundled, packed_bench_prompts
from rh_lens.checks import require_flag, require_list, require_type
from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime import estimate_run

N_LENGTHS, N_NEEDLES, N_TURNS = 20, 3, 12
SHORTEST, LONGEST, LONGEST_QUICK = 256, 2016, 1024
PACKED_LENGTHS = (1024, 1520, 2016)
"""Lengths of the packed prompts; the shortest has room for twelve needles."""
N_SAMPLE = 30
"""Prompts of the full grid that `generate` answers; all are taken to need as long a token."""
GENERATE, ONE_NEEDLE = "generate", "one needle a prompt"
UNTIL_STABLE, ENOUGH = "packed, until stable", "packed, enough"
_REMEDY = "Take those of benchmark_finding."
_Prompt = TypeVar("_Prompt")


@dataclass(frozen=True)
class FindingRow:
    """What one way to the full grid's finding costs, and whether it arrives there.

    The finding is that of detection on the full grid, one needle a prompt: its heads at or above
    the threshold, and every head's score.

    Args:
        model: Name of the model.
        way: "generate": the full grid, nothing recorded. "one needle a prompt": detection on the
            full grid, whose finding it is. "packed, until stable": packed prompts in random order,
            until the stopping rule says, without the full grid, that it is known which heads have
            the threshold. "packed, enough": the first turns of that run, after which and after all
            later ones the finding was there, as only the full grid can tell; the whole run where
            it was not there at the end.
        n_prompts: Prompts of the way.
        n_timed: Those that were timed. Where they are fewer, the time is scaled by tokens.
        n_read: Tokens to read, answers not counted.
        seconds: Time of all prompts.
        ratio: Time over that of "generate".
        agreement: With the full grid; None for "generate", which finds no heads.
    """

    model: str
    way: str
    n_prompts: int
    n_timed: int
    n_read: int
    seconds: float
    ratio: float
    agreement: Agreement | None


def benchmark_finding(
    device: torch.device, *, quick: bool = False, done: Sequence[FindingRow] = ()
) -> Iterator[list[FindingRow]]:
    """What the published protocol's finding costs on the bundled model.

    The full grid has 20 lengths by 10 depths by 3 needles (Wu et al. 2024, arXiv:2404.15574), from
    256 tokens to as many as the model reads. Packed prompts hide twelve needles in each haystack,
    every one at twelve depths, at 1,024, 1,520 and 2,016 tokens. Each way runs once; `generate`
    answers 30 prompts of the full grid, before the others and after them, and the mean of its times
    is scaled to all by tokens.

    Args:
        device: Where to run.
        quick: Up to 1,024 tokens only.
        done: Rows that are known; nothing is timed again.

    Yields:
        The rows of the model, one for each way.

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> known = [FindingRow("bundled", "generate", 600, 30, 384000, 90.0, 1.0, None)]
        >>> list(benchmark_finding(torch.device("cpu"), quick=True, done=known))  # none left
        []
    """
    require_type("device", device, torch.device, remedy="Make one with torch.device(...).")
    require_flag("quick", quick)
    if require_list("done", done, FindingRow, remedy=_REMEDY):
        return
    longest = LONGEST_QUICK if quick else LONGEST
    step = (longest - SHORTEST) / (N_LENGTHS - 1)
    lengths = [round(SHORTEST + place * step) for place in range(N_LENGTHS)]
    full = [prompt for length in lengths for prompt in bench_prompts(length, N_NEEDLES)]
    packed = [
        prompt
        for length in PACKED_LENGTHS
        if length <= longest
        for prompt in packed_bench_prompts(length, N_TURNS)
    ]
    yield cost_of_finding("bundled", bundled(device), full, packed, device)


def cost_of_finding(
    model: str,
    bench: Bench,
    full: Sequence[NeedlePrompt],
    packed: Sequence[NeedlePrompt],
    device: torch.device,
) -> list[FindingRow]:
    """The rows of a model: its full grid by `generate` and by detection, then packed prompts."""
    sample = sample_of(full)
    # Each once before it counts: first calls take longer.
    clocked_run(bench, full[:1])
    METHODS["a"](bench, sample[:1])
    before = measure(lambda: METHODS["a"](bench, sample), device).seconds
    whole, stopped = clocked_run(bench, full), clocked_run(bench, packed, until="stable")
    after = measure(lambda: METHODS["a"](bench, sample), device).seconds
    plain = (before + after) / 2 * _n_tokens(full) / _n_tokens(sample)

    reference, threshold = whole.result.scores, whole.result.threshold
    found = [
        agreement(reference, stopped.scores(n_turns), threshold=threshold)
        for n_turns in range(1, len(stopped.turns) + 1)
    ]
    n_enough = first_to_stay([one.same for one in found])

    def row(
        way: str, units: Sequence[Sequence[NeedlePrompt]], seconds: float, agrees: Agreement
    ) -> FindingRow:
        n_prompts = sum(map(len, units))
        n_read = sum(
            estimate_run(bench.bridge, of, max_new_tokens=bench.max_new_tokens).n_read
            for of in units
        )
        return FindingRow(
            model, way, n_prompts, n_prompts, n_read, seconds, seconds / plain, agrees
        )

    turns = [[packed[index] for index in turn] for turn in stopped.turns]
    itself = agreement(reference, reference, threshold=threshold)
    return [
        FindingRow(model, GENERATE, len(full), len(sample), _n_tokens(full), plain, 1.0, None),
        row(ONE_NEEDLE, [full], whole.seconds, itself),
        row(UNTIL_STABLE, turns, stopped.seconds, found[-1]),
        row(ENOUGH, turns[:n_enough], stopped.ends[n_enough - 1], found[n_enough - 1]),
    ]


def first_to_stay(holds: Sequence[bool]) -> int:
    """After how many something held and went on to; all of them where it does not at the end."""
    n_last = 0
    while n_last < len(holds) and holds[len(holds) - 1 - n_last]:
        n_last += 1
    return len(holds) - max(n_last - 1, 0)


def sample_of(prompts: Sequence[_Prompt]) -> list[_Prompt]:
    """Some prompts of a grid, seeded: one of each of as many even parts of it."""
    n_parts, rng = min(N_SAMPLE, len(prompts)), random.Random(0)
    ends = [part * len(prompts) // n_parts for part in range(n_parts + 1)]
    return [prompts[rng.randrange(start, end)] for start, end in pairwise(ends)]


def _n_tokens(prompts: Sequence[NeedlePrompt]) -> int:
    return sum(len(prompt.tokens) for prompt in prompts)


def finding_table(rows: Sequence[FindingRow]) -> pd.DataFrame:
    """The rows as a table; "same finding" says NO where heads or scores are not the full grid's.

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> same = Agreement(0.99992, 4, 4, 4)
        >>> rows = [FindingRow("bundled", "packed, enough", 12, 12, 1250, 0.46, 0.0043, same)]
        >>> finding_table(rows).iloc[0].to_dict()
        {'model': 'bundled', 'way': 'packed, enough', 'prompts': 12, 'timed': 12, 'tokens read':
         1250, 'seconds': 0.46, 'time / generate': 0.0043, 'Pearson': 0.99992, 'heads': '4 of 4',
         'same finding': 'yes'}
    """
    require_list("rows", rows, FindingRow, remedy=_REMEDY)
    return pd.DataFrame([_record(row) for row in rows])


def _record(row: FindingRow) -> dict[str, object]:
    """A line of the table."""
    found = row.agreement
    correlation = None if found is None else found.correlation
    return {
        "model": row.model,
        "way": row.way,
        "prompts": row.n_prompts,
        "timed": row.n_timed,
        "tokens read": row.n_read,
        "seconds": round(row.seconds, 2),
        "time / generate": round(row.ratio, 4),
        "Pearson": None if correlation is None else round(correlation, 5),
        "heads": "" if found is None else found.heads,
        "same finding": "" if found is None else "yes" if found.same else "NO",
    }
