"""`rh-lens study`: everything about a model's retrieval heads, in one folder and on one page."""

import argparse
import gc
import shlex
import sys
import time
from pathlib import Path

from rh_lens.checks import MAX_SEED
from rh_lens.cli import options
from rh_lens.cli.arguments import lengths, number, path, whole, words
from rh_lens.cli.bundled import DEMO, bundled, folder_name, model_name
from rh_lens.cli.study_plan import StudyPlan, choose, time_model
from rh_lens.cli.study_record import StudyRecord
from rh_lens.cli.study_stages import Stage, page_words, stages

_MINUTES, _QUICK = 10.0, 2.0
# Share of the time for what the sizes are chosen for; the rest is for the last stages.
_SHARE = 0.7
_ENDED = (130, 141, 143)
# Prompts of each length that are timed.
_N_TIMED = 4
# The context length of a model that is not bundled, if it reads as much.
_LONGEST = 2048


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Find the retrieval heads of a model, silence them beside other heads, describe and doubt "
        "them, and write one page with the paper's claims at its top. Sizes are chosen to fit a "
        "time; each stage is a command of its own, printed as it runs. A study that was stopped "
        "goes on when it is repeated; with more --minutes, stages that were left out are made up."
    )
    parser.set_defaults(run=_run)
    add = parser.add_argument
    add("model", nargs="?", type=model_name, default=DEMO, metavar="MODEL",
        help="demo (bundled; the default), demo:NAME, a hub name or a folder")  # fmt: skip
    options.add_loading(parser)
    add("--quick", action="store_true", help="the least of everything, in two minutes for the "
        "bundled model")  # fmt: skip
    add("--uses", action="store_true", help="also a smaller KV cache and passages in the order of "
        "the heads' attention: rh-lens compress and rank")  # fmt: skip
    add("--minutes", type=number(above=0, at_most=100_000), help="time that the study is to take; "
        f"default: {_MINUTES:g}, with --quick {_QUICK:g}")  # fmt: skip
    add("--out", type=path, metavar="DIR", help="folder of the stages and report.html; default: "
        "rh_lens_study/MODEL")  # fmt: skip
    add("--lengths", type=lengths, help="context lengths in tokens; default: 128,256,512 for the "
        f"bundled model, else up to {_LONGEST:,}")  # fmt: skip
    add("--needles", type=path, metavar="FILE", help="JSON lines, for the detection; default: the "
        "package's own")  # fmt: skip
    add("--haystack", type=words, default="synthetic", help="as for rh-lens detect")
    add("--allow-repeat", action="store_true", help="repeat a haystack that is too short")
    add("--template", type=words, default="base", help="as for rh-lens detect")
    add("--seed", type=whole(0, MAX_SEED - 2), default=0, help="seed of the synthetic haystack")


def _run(args: argparse.Namespace) -> int:
    from rh_lens.runs import reserve_folder

    args.out = args.out or Path("rh_lens_study") / folder_name(args.model)
    minutes = args.minutes or (_QUICK if args.quick else _MINUTES)
    with reserve_folder(args.out):
        record = StudyRecord(args.out, _identity(args))
        plan = record.plan or _plan(args, record, minutes)
        args.lengths = plan.lengths
        print(_told(plan, minutes), flush=True)
        code = 0
        for stage in stages(args, plan.sizes):
            if record.is_done(stage.name):
                print(f"# {stage.name}: done before", flush=True)
                continue
            left = 60 * minutes - record.seconds
            if not stage.needed and left < plan.seconds.get(stage.name, 0.0):
                _skip(record, stage, left, minutes)
                continue
            code = _do(record, stage, left)
            if code in _ENDED or (code and stage.needed):
                return code
        shown = _command(page_words(args, record.notes()))
    return shown or int(any(one["status"] == "failed" for one in record.stages.values()))


def _identity(args: argparse.Namespace) -> dict[str, object]:
    """What makes it this study: all but the time and where it runs."""
    names = ("model", "revision", "dtype", "quick", "lengths", "needles", "haystack", "template",
             "seed", "allow_repeat")  # fmt: skip
    values = {name: getattr(args, name) for name in names}
    return {name: str(one) if isinstance(one, Path) else one for name, one in values.items()}


def _plan(args: argparse.Namespace, record: StudyRecord, minutes: float) -> StudyPlan:
    """Sizes by a timed first context, kept before anything else is done."""
    from rh_lens.prompts import (
        build_grid,
        default_needles,
        load_haystack,
        load_needles,
        load_template,
    )

    haystack = load_haystack(args.haystack, seed=args.seed)
    needles = load_needles(args.needles) if args.needles else default_needles()
    began = time.monotonic()
    model = options.load_model(args)
    load = time.monotonic() - began
    asked = args.lengths or _lengths(args.model, model.cfg.n_ctx)
    template = load_template(args.template, model.tokenizer)
    prompts = [
        build_grid(
            model.tokenizer,
            haystack,
            needles[:_N_TIMED],
            context_lengths=[length],
            depths=[0.5],
            template=template,
            allow_repeat=args.allow_repeat,
            n_distractors=0,
        )
        for length in sorted(asked)
    ]
    timing = time_model(model, prompts, load)
    n_heads = model.cfg.n_layers * model.cfg.n_heads
    seconds = 0.0 if args.quick else 60 * minutes * _SHARE
    plan = choose(timing, asked, len(needles), n_heads, seconds)
    record.choose(plan)
    del model
    gc.collect()
    return plan


def _lengths(name: str, n_ctx: int) -> list[int]:
    """Context lengths of a model; a longest answer has room beside the longest."""
    if bundled(name):
        return [128, 256, 512]
    longest = min(_LONGEST, n_ctx - n_ctx // 8)
    return [longest // 4, longest // 2, longest]


def _told(plan: StudyPlan, minutes: float) -> str:
    sizes, seconds = plan.sizes, sum(plan.seconds.values())
    few = "all numbers of heads" if sizes.all_ks else "two numbers of heads"
    over = " These are the smallest sizes." if seconds > 60 * minutes else ""
    return (
        f"Sizes: contexts of {', '.join(f'{one:,}' for one in plan.lengths)} tokens; detection at "
        f"{sizes.depths} depths; ablation at {sizes.ablation_depths}, with {few} and "
        f"{sizes.controls} controls. By a timed first context, about {seconds / 60:.1f} of "
        f"{minutes:g} minutes before the doubts.{over}"
    )


def _skip(record: StudyRecord, stage: Stage, left: float, minutes: float) -> None:
    why = (
        f"{stage.what.capitalize()}: left out, as {max(left, 0):.0f} s of {minutes:g} minutes were "
        f"left. rh-lens study with more --minutes makes it up (rh-lens {stage.name})."
    )
    record.end(stage.name, "skipped", why=why)
    print(f"# {why}", flush=True)


def _do(record: StudyRecord, stage: Stage, left: float) -> int:
    """One stage; how it ended is kept, also where it was stopped."""
    began, code = time.monotonic(), 130
    try:
        code = _command(stage.words(left / 60))
    finally:
        seconds = time.monotonic() - began
        if code == 0:
            record.end(stage.name, "done", seconds)
        elif code in _ENDED:
            record.end(stage.name, "stopped", seconds)
        else:
            why = f"{stage.what.capitalize()}: rh-lens {stage.name} ended with an error."
            record.end(stage.name, "failed", seconds, why)
    return code


def _command(line: list[str]) -> int:
    """Run a command of this program, shown as it would be typed."""
    from rh_lens.cli import main

    print(f"\n$ rh-lens {shlex.join(line)}", flush=True)
    try:
        return main(line)
    finally:
        # A model is a large circle of references: the next command loads its own.
        gc.collect()
        sys.stdout.flush()
