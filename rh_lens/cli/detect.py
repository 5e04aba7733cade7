"""`rh-lens detect`: the retrieval heads of a model."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rh_lens.cli import options

if TYPE_CHECKING:
    from rh_lens.prompts import Needle, Template
    from rh_lens.runtime import Bridge

SCORES = ("position", "event", "token-set", "teacher-forced", "attention-mass")


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Ask a model about needles in a haystack, find which heads copy the answers, and write "
        "scores, events and trials to a folder. Without arguments: the bundled model."
    )
    parser.set_defaults(run=_run)
    options.add_model(parser)
    options.add_prompts(parser)
    add = parser.add_argument
    add("--closed-book", action="store_true",
        help="leave out needles that the model answers without the haystack")  # fmt: skip
    add("--score", choices=SCORES, default="position", help="default: %(default)s")
    add("--threshold", type=float, default=0.1, help="retrieval heads score this much or more")
    add("--out", type=Path, metavar="DIR", help="run folder; default: a new one in rh_lens_runs")
    add("--save-prompts", action="store_true", help="keep the prompts' token ids in trials.jsonl")
    add("--quiet", action="store_true", help="no progress bar")


def _run(args: argparse.Namespace) -> int:
    from rh_lens.detection import NoAcceptedTrialsError, detect_retrieval_heads
    from rh_lens.prompts import load_haystack, load_template
    from rh_lens.records import RunFolder
    from rh_lens.views import summarise

    out = args.out or Path("rh_lens_runs") / options.run_name(args.model)
    # Before the model, which may take long to load: a mistake in these shows at once.
    haystack = load_haystack(args.haystack, seed=args.seed)
    needles = _needles(args)
    model = options.load_model(args)
    template = load_template(args.template, model.tokenizer)
    if args.closed_book:
        needles = _unknown(model, needles, template)
    prompts = options.build_prompts(args, model, haystack, needles, template)
    description = options.describe_run("detect", args, model, prompts)
    with RunFolder(out, description, save_prompts=args.save_prompts) as run:
        try:
            result = detect_retrieval_heads(
                model,
                prompts,
                score=args.score,
                threshold=args.threshold,
                max_new_tokens=args.max_new_tokens,
                progress=not args.quiet,
                on_trial=run.add,
            )
        except NoAcceptedTrialsError as error:
            print(f"rh-lens: no result: {error}\nThe trials are in {out}", file=sys.stderr)
            return 1
        run.finish(result)
    print(f"{summarise(result)}\n\nSaved in {out}")
    return 0


def _needles(args: argparse.Namespace) -> "Sequence[Needle]":
    from rh_lens.prompts import default_needles, load_needles

    return load_needles(args.needles) if args.needles else default_needles()


def _unknown(
    model: "Bridge", needles: "Sequence[Needle]", template: "Template"
) -> "Sequence[Needle]":
    """The needles that the model does not answer without the haystack; the others are named."""
    from rh_lens.detection import closed_book_check

    verdicts = closed_book_check(model, needles, template=template)
    for verdict in verdicts:
        if verdict.known:
            print(f"left out, answered without the haystack: {verdict.needle.question}")
    return [verdict.needle for verdict in verdicts if not verdict.known]
