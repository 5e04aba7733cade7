"""`rh-lens demo-page`: from nothing to a page, with the bundled model."""

import argparse
from pathlib import Path

from rh_lens.cli.arguments import path


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Find the retrieval heads of the bundled model, silence them beside other heads, and write "
        "the page that rh-lens show makes of both. What is there already is not done again."
    )
    parser.set_defaults(run=_run)
    add = parser.add_argument
    add("--out", type=path, default=Path("rh_lens_demo"), metavar="DIR",
        help="folder of the run, the ablation and report.html; default: %(default)s")  # fmt: skip
    add("--quiet", action="store_true", help="no progress bars")


def _run(args: argparse.Namespace) -> int:
    from rh_lens.cli import main

    quiet = ["--quiet"] * args.quiet
    run, ablation, page = (str(args.out / name) for name in ("run", "ablation", "report.html"))
    commands = (
        ["detect", "--save-prompts", "--out", run, *quiet],
        ["ablate", run, "--lengths", "128,256", "--depths", "2", "--match", "layer,any",
         "--controls", "3", "--out", ablation, *quiet],
        ["show", run, "--ablation", ablation, "--out", page],
    )  # fmt: skip
    for command in commands:
        print(f"$ rh-lens {' '.join(command)}", flush=True)
        if code := main(command):
            return code
    return 0
