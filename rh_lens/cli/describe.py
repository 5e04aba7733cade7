"""`rh-lens describe`: what else a run's heads do."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rh_lens.cli import options, output
from rh_lens.cli.arguments import path

if TYPE_CHECKING:
    from rh_lens.circuits import HeadOverlap, HeadSurvey
    from rh_lens.runs import StoredRun
    from rh_lens.runtime import Bridge

# Kinds that read prompts once and need no silencing; the others take as long as an ablation.
KINDS = (
    "induction",
    "prefix matching",
    "previous token",
    "duplicate token",
    "positional",
    "local",
    "global",
    "sink",
    "rare word",
    "subject",
    "relation",
    "name mover",
    "copying",
)
# Those that are compared with each other.
COMPARED = ("induction", "previous token", "duplicate token", "copying", "name mover", "sink")


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Score every head by other kinds that the field knows (induction, previous token, "
        "copying, sink, ...), and say how many of them are the run's retrieval heads, beside "
        "chance. Nothing is silenced."
    )
    parser.set_defaults(run=_run)
    parser.add_argument("folder", type=path, metavar="RUN", help="folder of rh-lens detect")
    options.add_model(parser)
    options.add_prompts(parser)
    parser.set_defaults(lengths="256", depths=1)
    parser.add_argument("--out", type=path, default=Path("survey"), metavar="DIR",
                        help="default: %(default)s")  # fmt: skip
    output.add_quiet(parser)
    output.add_json(parser)


def _run(args: argparse.Namespace) -> int:
    from rh_lens.prompts import default_needles, load_haystack, load_needles, load_template
    from rh_lens.runs import describe_command, describe_model, load_run, save_survey
    from rh_lens.runs.read_scores import require_run_of
    from rh_lens.views import summarise

    with options.reserved(args) as out:
        run = load_run(args.folder)
        haystack = load_haystack(args.haystack, seed=args.seed)
        needles = load_needles(args.needles) if args.needles else default_needles()
        model = options.load_model(args)
        template = load_template(args.template, model.tokenizer)
        prompts = options.build_prompts(args, model, haystack, needles, template)
        description = describe_command("describe", options.values(args), prompts)
        description["model"] = describe_model(model, args.model)
        require_run_of(args.folder, description["model"])
        survey, overlap = _survey(model, prompts, run)
        save_survey(survey, overlap, out, description)
    from rh_lens.runs import load_survey

    stored = load_survey(out)
    output.say(args, summarise(stored), end="\n\n")
    output.say(args, f"Saved in {out}")
    output.print_record(
        args,
        out=str(out),
        kinds=output.rows_of(stored.kinds),
        overlap=output.rows_of(stored.overlap),
    )
    return 0


def _survey(
    model: "Bridge", prompts: "list[Any]", run: "StoredRun"
) -> "tuple[HeadSurvey, HeadOverlap]":
    """All kinds, and how alike the chosen ones are."""
    from rh_lens.circuits import compare_kinds, describe_heads
    from rh_lens.circuits.detectors import DETECTORS

    result = run.result()
    score = f"retrieval: {result.scores.name}"
    first = score if score in DETECTORS else "retrieval: position"
    survey = describe_heads(model, prompts, detection=result, only=[first, *KINDS])
    chosen = [name for name in (first, *COMPARED) if name in survey.scores]
    overlap = compare_kinds(
        {name: survey.scores[name] for name in chosen}, n_kv_heads=result.n_kv_heads
    )
    return survey, overlap
