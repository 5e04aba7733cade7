"""`rh-lens bench`: detection timed against plain generation."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rh_lens.cli import output
from rh_lens.cli.arguments import MAX_ENTRIES, path, whole
from rh_lens.cli.options import DTYPES, device

if TYPE_CHECKING:
    from rh_lens.bench import TimedRows


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Time six ways to answer needle prompts: (a) Hugging Face generate, nothing "
        "recorded; (b) run_with_cache on patterns; (c) generation with pattern hooks; (d) eager "
        "steps as published; (e) detection with rh_lens; (f) the same with up to twelve needles in "
        "a haystack. Each at ten depths, on the bundled model and on Llamas with random weights, "
        "on CUDA of 1 and 8 billion parameters too. Then twenty decoding conditions against one, "
        "and what the finding of the published grid of 600 prompts costs on the bundled model."
    )
    parser.set_defaults(run=_run)
    parser.add_argument(
        "--quick", action="store_true", help="the bundled model only, in fewer and shorter cells"
    )
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
        TimedRows,
        benchmark_conditions,
        benchmark_finding,
        conditions_table,
        finding_table,
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
    where, how = torch.device(args.device), {"quick": args.quick}
    dtype = getattr(torch, args.dtype) if args.dtype else None
    output.say(args, str(key["machine"]))
    # Whatever would be in the way of saving shows before minutes of timing.
    with reserve_file(args.out) if args.out else nullcontext():
        timed = read_timed_rows(_timed(args.out), key) if args.out else TimedRows()
        if timed.rows:
            print(f"{len(timed.rows)} rows are in {_timed(args.out)}; going on.", file=sys.stderr)
        repeated = {**how, "n_repeats": args.repeats}
        for cell in run_benchmark(where, **repeated, done=timed.rows, dtype=dtype):
            timed = _add(args.out, key, timed, rows=cell)
        output.say(args, to_dataframe(timed.rows).to_string(index=False))
        for row in benchmark_conditions(where, **repeated, done=timed.conditions):
            timed = _add(args.out, key, timed, conditions=[row])
        output.say(args, conditions_table(timed.conditions).to_string(index=False))
        for ways in benchmark_finding(where, **how, done=timed.finding):
            timed = _add(args.out, key, timed, finding=ways)
        output.say(args, finding_table(timed.finding).to_string(index=False))
        # Before it is saved for the last time: a full disk takes nothing of what was timed.
        output.print_record(args, **key, **_record(timed))
        _save(args.out, key, timed)
    return 0


def _add(
    out: Path | None, key: dict[str, Any], timed: "TimedRows", **new: "Sequence[Any]"
) -> "TimedRows":
    """What was timed with new rows, saved as far as the disk lets it."""
    timed = replace(timed, **{name: (*getattr(timed, name), *of) for name, of in new.items()})
    # A full disk must not end the timing: the table is printed, then saved again.
    with suppress(OSError):
        _save(out, key, timed)
    return timed


def _record(timed: "TimedRows") -> dict[str, Any]:
    """The rows as JSON values, and of each way to a finding whether it arrives there."""
    finding = [
        {**asdict(row), "same": None if row.agreement is None else row.agreement.same}
        for row in timed.finding
    ]
    return {**asdict(timed), "finding": finding}


def _timed(out: Path) -> Path:
    """Where the times themselves are, beside the table: the same command goes on from there."""
    return out.with_name(f"{out.name}.json")


def _save(out: Path | None, key: dict[str, Any], timed: "TimedRows") -> None:
    from rh_lens.bench import to_dataframe, write_timed_rows

    if out is not None:
        write_timed_rows(_timed(out), key, timed.rows, timed.conditions, timed.finding)
        # In place: this process has the lock of this very file.
        out.write_text(to_dataframe(timed.rows).to_csv(index=False), encoding="utf-8")
