"""`rh-lens audit`: what the published protocol's flaws did to scores."""

import argparse
import json

from rh_lens.cli import output
from rh_lens.cli.arguments import path, thresholds
from rh_lens.cli.inputs import require_not_an_input


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Find repeated samples (a collapsed depth sweep), samples of zeros (a missed needle) and "
        "scores above 1 (counted repeats) in a table of scores, and say which heads cross a "
        "threshold when they are corrected."
    )
    parser.set_defaults(run=_run)
    add = parser.add_argument
    add("scores", type=path, help="head_scores.json or another published file, or a run folder")
    add("--thresholds", type=thresholds, default="0.1,0.2,0.3,0.4,0.5", help="default: %(default)s")
    add("--out", type=path, metavar="FILE", help="save as JSON; a folder gets audit.json")
    output.add_json(parser)


def _run(args: argparse.Namespace) -> int:
    from rh_lens.analysis import audit_scores
    from rh_lens.runs import read_scores
    from rh_lens.views import summarise

    out = args.out
    if out and (out.is_dir() or not out.suffix):
        out = out / "audit.json"
    if out:
        require_not_an_input(out, [args.scores])
    scores = read_scores(args.scores)
    audit = audit_scores(scores, thresholds=args.thresholds)
    output.say(args, summarise(audit))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(audit.to_record(), indent=2) + "\n", encoding="utf-8")
        output.say(args, f"\nSaved in {out}")
    output.print_record(args, **audit.to_record())
    return 0
