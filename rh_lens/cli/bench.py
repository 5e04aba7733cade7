"""`rh-lens bench`: detection timed against plain generation."""

import argparse
from pathlib import Path


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
    parser.add_argument("--repeats", type=int, default=3, help="times each is run (default: 3)")
    parser.add_argument("--device", default="cpu", help="cpu (the default), cuda, ...")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="save the table as CSV as it grows"
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
    from rh_lens.records import describe_machine

    rows: list[Row] = []
    print(describe_machine())
    device = torch.device(args.device)
    cells = run_benchmark(device, quick=args.quick, n_repeats=args.repeats)
    for cell in cells:
        rows += cell
        if args.out:
            to_dataframe(rows).to_csv(args.out, index=False)
    print(to_dataframe(rows).to_string(index=False))
    forks = benchmark_conditions(device, quick=args.quick, n_repeats=args.repeats)
    print(conditions_table(list(forks)).to_string(index=False))
    return 0
