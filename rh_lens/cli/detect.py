"""`rh-lens detect`: the retrieval heads of a model."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rh_lens.checks import shown
from rh_lens.cli import detect_grid, official, options, output
from rh_lens.cli.arguments import number, path, whole
from rh_lens.cli.bundled import bundled

if TYPE_CHECKING:
    from rh_lens.detection import Until
    from rh_lens.evaluation import GridChoice
    from rh_lens.prompts import Needle, Template
    from rh_lens.runs import RunFolder, Shard
    from rh_lens.runtime import Bridge

SCORES = (
    "position",
    "token-set",
    "event",
    "teacher-forced",
    "fed-attention",
    "attention-mass",
    "official",
)

ONE_PROCESS = (
    "accelerate starts one process on CPUs, whatever --num_processes says. For two: torchrun "
    "--nproc-per-node 2 -m rh_lens detect --out DIR ..., or two commands with --shard 1/2 and "
    "--shard 2/2."
)


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Ask a model about needles in a haystack, find which heads copy the answers, and write "
        "scores, events and trials to a folder. Without arguments: the bundled model."
    )
    parser.set_defaults(run=_run)
    options.add_model(parser)
    options.add_prompts(parser)
    detect_grid.add(parser)
    add = parser.add_argument
    add("--closed-book", action="store_true",
        help="leave out needles that the model answers without the haystack")  # fmt: skip
    add("--score", choices=SCORES, default="position", help="default: %(default)s")
    add(
        "--threshold",
        type=number(at_least=0, at_most=1),
        default=0.1,
        help="retrieval heads score this much or more",
    )
    add("--until", type=goal, metavar="GOAL", help="stop when it is known, at a level of 0.95, "
        "which heads have the threshold or more (stable), which are the K best (top:K), or every "
        "score to +-E (scores:E); default: all prompts are answered")  # fmt: skip
    add("--out", type=path, metavar="DIR", help="run folder; default: a new one in rh_lens_runs. "
        "A run that was stopped there goes on")  # fmt: skip
    add("--shard", metavar="I/N", help="answer part I of N, in DIR/shard-I-of-N; rh-lens merge "
        "joins them. Under torchrun, or accelerate launch on GPUs, each process takes its own. On "
        "CPUs accelerate starts only one: use torchrun --nproc-per-node 2 -m rh_lens detect ..., "
        "or give --shard 1/2 and --shard 2/2 to two commands")  # fmt: skip
    add("--dry-run", action="store_true", help="say how many tokens the run reads, how long "
        "it takes by its first context, and what memory it needs; write nothing")  # fmt: skip
    add("--save-prompts", action="store_true", help="keep the prompts' token ids in trials.jsonl")
    add("--compat", choices=["official"], help="score as the published code does, for comparison: "
        "the same as --score official")  # fmt: skip
    output.add_quiet(parser)
    output.add_json(parser)


def goal(text: str) -> str:
    """What is to be known, as it was typed; refused before anything else happens."""
    kind, _, value = text.partition(":")
    if kind == "stable" and not value:
        return text
    if kind == "top":
        whole(1, 10**9)(value)
    elif kind == "scores":
        number(at_least=0.01, below=0.5)(value)
    else:
        raise argparse.ArgumentTypeError(
            f"expected stable, top:K or scores:E, such as top:20; found {shown(text)}"
        )
    return text


def _until(args: argparse.Namespace) -> "Until | None":
    """What is to be known before the run stops."""
    from rh_lens.detection import Until

    kind, _, value = (args.until or "").partition(":")
    if kind == "top":
        return Until("top", k=int(value))
    if kind == "scores":
        return Until("scores", within=float(value))
    return Until() if kind else None


def _run(args: argparse.Namespace) -> int:
    from rh_lens.prompts import load_haystack, load_template
    from rh_lens.runs.launcher import is_launched_alone, own_device
    from rh_lens.runtime import require_memory

    shard = options.shard_of(args)
    if shard is None and is_launched_alone():
        print(ONE_PROCESS, file=sys.stderr)
    args.score = args.compat or args.score
    detect_grid.require_grid(args)
    with _reserved(args) as out:
        # Before the model, which may take long to load: a mistake in these shows at once.
        haystack = load_haystack(args.haystack, seed=args.seed)
        needles = _needles(args)
        detect_grid.require_needles(args, needles)
        if not bundled(args.model) or args.device is not None:  # bundled: on the CPU
            args.device = own_device(args.device)
        model = options.load_model(args)
        template = load_template(args.template, model.tokenizer)
        if args.closed_book:
            needles = _unknown(args, model, needles, template)
        grid = detect_grid.choose(args, model, haystack, needles, template)
        estimate = detect_grid.estimate(args, model, grid)
        if args.dry_run:
            output.say(args, estimate.text)
            output.print_record(args, **vars(estimate), fits=estimate.fits)
            return 0 if estimate.fits else 1
        require_memory(estimate)
        return _detect(args, model, grid, out / shard.folder if shard else out, shard)


@contextmanager
def _reserved(args: argparse.Namespace) -> Iterator[Path]:
    """Context with the folder for results; one that was named is the run folder's own concern.

    A dry run writes nothing.
    """
    if args.out is not None or args.dry_run:
        yield args.out or Path()
        return
    with options.reserved(args) as out:
        yield out


def _detect(
    args: argparse.Namespace,
    model: "Bridge",
    grid: "GridChoice",
    out: Path,
    shard: "Shard | None",
) -> int:
    """Answer what is missing in a run folder, and print the result or where its parts are."""
    from rh_lens.detection import NoAcceptedTrialsError
    from rh_lens.runs import RunFolder, describe_command
    from rh_lens.views import summarise

    folder = RunFolder(
        out,
        model,
        grid.prompts,
        score=args.score,
        threshold=args.threshold,
        max_new_tokens=args.max_new_tokens,
        stop=options.stop_rule(args, model),
        name=args.model,
        description={
            **describe_command("detect", options.values(args), grid.prompts),
            "grid": grid.record(),
        },
        shard=shard,
        save_prompts=args.save_prompts,
    )
    try:
        with folder as run:
            _say_what_is_there(run)
            with _saying_where_to_go_on(run):
                is_first = shard is None or shard.number == 1
                run.detect(progress=is_first and output.shows_progress(args), until=_until(args))
                if shard:
                    _say_what_a_shard_did(args, shard, len(run.done), out)
                    return 0
                result = run.finish()
                if args.score == "official":
                    official.report(args, run, result, model.tokenizer)
    except NoAcceptedTrialsError as error:
        print(f"rh-lens: no result: {error}\nThe trials are in {out}", file=sys.stderr)
        return 1
    if args.score != "official":
        heat_map = output.draws_characters()
        output.say(args, summarise(result, heat_map=heat_map), end="\n\n")
    output.say(args, f"Saved in {out}")
    output.print_result(args, result, out)
    return 0


def _say_what_a_shard_did(args: argparse.Namespace, shard: "Shard", n_done: int, out: Path) -> None:
    output.say(args, f"Shard {shard}: {n_done} prompts are answered, in {out}")
    output.say(args, f"When all shards have ended: rh-lens merge {args.out}")
    output.print_record(args, out=str(out), shard=str(shard), n_answered=n_done)


def _say_what_is_there(run: "RunFolder") -> None:
    """What the folder held before, or that nothing is to be put there."""
    if not run.done and not run.missing:
        print(f"Nothing to answer for {run.path}: there are fewer prompts than shards.",
              file=sys.stderr)  # fmt: skip
    for damage in run.damage:
        print(f"damaged in {run.path}, and made again: {damage}", file=sys.stderr)
    if run.was_finished:
        print(f"{run.path} holds this run already: nothing to answer.", file=sys.stderr)
    elif run.done:
        print(f"{_progress(run)}; going on.", file=sys.stderr)


@contextmanager
def _saying_where_to_go_on(run: "RunFolder") -> Iterator[None]:
    """Context that says so when it is left by an error, by Ctrl-C or by SIGTERM."""
    from rh_lens.detection import NoAcceptedTrialsError

    try:
        yield
    except NoAcceptedTrialsError:
        raise
    except BaseException:
        if run.done:
            print(f"{_progress(run)}; the same command with this --out goes on.", file=sys.stderr)
        raise


def _progress(run: "RunFolder") -> str:
    n_prompts = len(run.done) + len(run.missing)
    return f"{len(run.done)} of {n_prompts} prompts are answered in {run.path}"


def _needles(args: argparse.Namespace) -> "Sequence[Needle]":
    from rh_lens.prompts import default_needles, harder_needles, load_needles

    if args.haystack_kind:
        return harder_needles(args.haystack_kind, detect_grid.N_HARDER, seed=args.seed)
    return load_needles(args.needles) if args.needles else default_needles()


def _unknown(
    args: argparse.Namespace, model: "Bridge", needles: "Sequence[Needle]", template: "Template"
) -> "Sequence[Needle]":
    """The needles that the model does not answer without the haystack; the others are named."""
    from rh_lens.detection import closed_book_check

    stop = options.stop_rule(args, model)
    verdicts = closed_book_check(model, needles, template=template, stop=stop)
    for verdict in verdicts:
        if verdict.known:
            said = f"left out, answered without the haystack: {verdict.needle.question}"
            print(said, file=sys.stderr if args.json else sys.stdout)
    return [verdict.needle for verdict in verdicts if not verdict.known]
