"""`rh-lens merge`: one run from the parts that several processes answered."""

import argparse
import sys

from rh_lens.cli import output
from rh_lens.cli.arguments import path


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Join run folders of one run, such as the shards of rh-lens detect --shard, into one: the "
        "trials of all, with events and scores over all. The parts are left as they are, so that a "
        "merge that was interrupted can be repeated."
    )
    parser.set_defaults(run=_run)
    add = parser.add_argument
    add("runs", nargs="+", type=path, metavar="DIR", help="run folders, or a folder of shards")
    add("--out", type=path, metavar="DIR", help="folder for the whole run; default: the one that "
        "holds the shards")  # fmt: skip
    add("--partial", action="store_true", help="prompts may be missing and folders damaged; "
        "detect --out goes on there")  # fmt: skip
    output.add_json(parser)


def _run(args: argparse.Namespace) -> int:
    from rh_lens.detection import NoAcceptedTrialsError
    from rh_lens.runs import holds_one_run, merge_runs
    from rh_lens.views import summarise

    if args.out is None and len(args.runs) > 1:
        raise ValueError(
            f"Expected --out for {len(args.runs)} folders; found none. Name a new folder, or give "
            "the one folder that holds all shards."
        )
    if args.out is None and holds_one_run(args.runs[0]):
        raise ValueError(
            f"Expected a folder of shards; found one run in {str(args.runs[0])!r}, which needs no "
            "merging. Name a new folder with --out to take what is there with --partial."
        )
    out = args.out or args.runs[0]
    run = merge_runs(args.runs, out, partial=args.partial)
    for part in run.description["merged"]:
        for damage in part["damage"]:
            print(f"damaged in {part['path']}, the rest is taken: {damage}", file=sys.stderr)
    count = run.accounting()
    if count["open"]:
        print(f"{count['open']} of {count['prompts']} prompts are missing", file=sys.stderr)
    try:
        output.say(args, f"{summarise(run)}\n\nSaved in {out}")
        output.print_result(args, run.result(), out, n_missing=count["open"])
    except NoAcceptedTrialsError as error:
        print(f"rh-lens: no result: {error}\nThe trials are in {out}", file=sys.stderr)
        return 1
    return 0
