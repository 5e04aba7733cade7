"""`rh-lens bench`: detection timed against plain generation."""

import argparse
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rh_lens.cli.arguments import MAX_ENTRIES, path, whole
from rh_lens.cli.options import device

if TYPE_CHECKING:
    import pandas as pd


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Time five ways to answer the same needle prompts: (a) Hugging Face generate, nothing "
        "recorded; (b) run_with_cache on patterns; (c) generation with pattern hooks; (d) eager "
        "steps as published; (e) detection with rh_lens. Each at ten depths, on the bundled model "
        "and on Llamas with random weights. Then twenty decoding conditions against one."
    )
    parser.set_defaults(run=_run)
    parser.add_argument("--quick", action="store_true", help="the bundled model only")
    parser.add_argument(
        "--repeats", type=whole(1, MAX_ENTRIES), default=3, help="times each is run (default: 3)"
    )
    parser.add_argument("--device", type=device, default="cpu", help="cpu, cuda, ...")
    parser.add_argument(
        "--out", type=path, metavar="FILE", help="save the table as CSV as it grows"
    )


def _run(args: argparse.Namespace) -> int:
    import torch

    from rh_lens.bench import (
        Row,
        benchmark_conditions,
        conditions_table,
        run_benchmark,
        to_dataframe,
    )
    from rh_lens.runs import describe_machine, reserve_file

    rows: list[Row] = []
    # Whatever would be in the way of saving shows before minutes of timing.
    with reserve_file(args.out) if args.out else nullcontext():
        print(describe_machine())
        where = torch.device(args.device)
        for cell in run_benchmark(where, quick=args.quick, n_repeats=args.repeats):
            rows += cell
            if args.out:
                # A full disk must not end the timing: the table is printed, then saved again.
                with suppress(OSError):
                    _save(to_dataframe(rows), args.out)
        print(to_dataframe(rows).to_string(index=False), flush=True)
        forks = benchmark_conditions(where, quick=args.quick, n_repeats=args.repeats)
        print(conditions_table(list(forks)).to_string(index=False), flush=True)
        if args.out:
            _save(to_dataframe(rows), args.out)
    return 0


def _save(table: "pd.DataFrame", path: Path) -> None:
    # In place: this process has the lock of this very file.
    path.write_text(table.to_csv(index=False), encoding="utf-8")
