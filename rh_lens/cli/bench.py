"""`rh-lens bench`: detection timed against plain generation."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rh_lens.cli import output
from rh_lens.cli.arguments import MAX_ENTRIES, path, whole
from rh_lens.cli.options import DTYPES, device

if TYPE_CHECKING:
    from rh_lens.bench import ConditionsRow, Row


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Time six ways to answer needle prompts: (a) Hugging Face generate, nothing "
        "recorded; (b) run_with_cache on patterns; (c) generation with pattern hooks; (d) eager "
        "steps as published; (e) detection with rh_lens; (f) the same with up to twelve needles in "
        "a haystack. Each at ten depths, on the bundled model and on Llamas with random weights, "
        "on CUDA of 1 and 8 billion parameters too. Then twenty decoding conditions against one."
    )
    parser.set_defaults(run=_run)
    parser.add_argument("--quick", action="store_true", help="the bundled model only")
    parser.add_argument(
        "--repeats", type=whole(1, MAX_ENTRIES), default=3, help="times each is run (default: 3)"
    )
    parser.add_argument("--device", type=device, default="cpu", help="cpu, cuda, ...")
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        help="precision of the random weights; default: float32, of the large models bfloat16",
    )
    parser.add_argument(
        "--out",
        type=path,
        metavar="FILE",
        help="save the table as CSV as it grows; the same command goes on there",
    )
    output.add_json(parser)


def _run(args: argparse.Namespace) -> int:
    import torch

    from rh_lens.bench import (
        benchmark_conditions,
        conditions_table,
        read_timed_rows,
        run_benchmark,
        to_dataframe,
    )
    from rh_lens.runs import describe_machine, package_versions, reserve_file

    key = {
        **{"quick": args.quick, "repeats": args.repeats, "device": args.device},
        "dtype": args.dtype,
        **{"machine": describe_machine(), "versions": package_versions()},
    }
    where, how = torch.device(args.device), {"quick": args.quick, "n_repeats": args.repeats}
    dtype = getattr(torch, args.dtype) if args.dtype else None
    output.say(args, str(key["machine"]))
    # Whatever would be in the way of saving shows before minutes of timing.
    with reserve_file(args.out) if args.out else nullcontext():
        rows, forks = read_timed_rows(_timed(args.out), key) if args.out else ([], [])
        if rows:
            print(f"{len(rows)} rows are in {_timed(args.out)}; going on.", file=sys.stderr)
        for cell in run_benchmark(where, **how, done=rows, dtype=dtype):
            rows += cell
            # A full disk must not end the timing: the table is printed, then saved again.
            with suppress(OSError):
                _save(args.out, key, rows, forks)
        output.say(args, to_dataframe(rows).to_string(index=False))
        for row in benchmark_conditions(where, **how, done=forks):
            forks.append(row)
            with suppress(OSError):
                _save(args.out, key, rows, forks)
        output.say(args, conditions_table(forks).to_string(index=False))
        # Before it is saved for the last time: a full disk takes nothing of what was timed.
        timed = {"rows": map(asdict, rows), "conditions": map(asdict, forks)}
        output.print_record(args, **key, **{name: [*found] for name, found in timed.items()})
        _save(args.out, key, rows, forks)
    return 0


def _timed(out: Path) -> Path:
    """Where the times themselves are, beside the table: the same command goes on from there."""
    return out.with_name(f"{out.name}.json")


def _save(
    out: Path | None,
    key: dict[str, Any],
    rows: "Sequence[Row]",
    conditions: "Sequence[ConditionsRow]",
) -> None:
    from rh_lens.bench import to_dataframe, write_timed_rows

    if out is not None:
        write_timed_rows(_timed(out), key, rows, conditions)
        # In place: this process has the lock of this very file.
        out.write_text(to_dataframe(rows).to_csv(index=False), encoding="utf-8")
