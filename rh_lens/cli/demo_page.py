"""`rh-lens demo-page`: from nothing to a page, with a bundled model."""

import argparse
from pathlib import Path

from rh_lens.checks import shown
from rh_lens.cli.arguments import path
from rh_lens.cli.bundled import DEMO, bundled, folder_name, model_name


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Find the retrieval heads of a bundled model, silence them beside other heads, and write "
        "the page that rh-lens show makes of both. What is there already is not done again."
    )
    parser.set_defaults(run=_run)
    add = parser.add_argument
    add("--model", type=_bundled_model, default=DEMO, help="demo, or demo:NAME for another bundled "
        "model")  # fmt: skip
    add("--out", type=path, metavar="DIR", help="folder of the run, the ablation and report.html; "
        "default: rh_lens_demo, or rh_lens_demo-NAME")  # fmt: skip
    add("--quiet", action="store_true", help="no progress bars")


def _run(args: argparse.Namespace) -> int:
    from rh_lens.cli import main

    quiet = ["--quiet"] * args.quiet
    # The first model is what the commands take by default: they are printed as short as they are.
    model = [] if args.model == DEMO else ["--model", args.model]
    out = args.out or Path(f"rh_lens_{folder_name(args.model)}")
    run, ablation, page = (str(out / name) for name in ("run", "ablation", "report.html"))
    commands = (
        ["detect", *model, "--save-prompts", "--out", run, *quiet],
        ["ablate", run, *model, "--lengths", "128,256", "--depths", "2", "--match", "layer,any",
         "--controls", "3", "--out", ablation, *quiet],
        ["show", run, "--ablation", ablation, "--out", page],
    )  # fmt: skip
    for command in commands:
        print(f"$ rh-lens {' '.join(command)}", flush=True)
        if code := main(command):
            return code
    return 0


def _bundled_model(text: str) -> str:
    if bundled(name := model_name(text)) is None:
        raise argparse.ArgumentTypeError(
            f"expected demo or demo:NAME; found {shown(text)}. Other models have rh-lens study"
        )
    return name
