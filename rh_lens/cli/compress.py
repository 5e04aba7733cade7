"""`rh-lens compress`: recall against the size of the KV cache."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rh_lens.checks import MAX_SEED
from rh_lens.cli import options, output
from rh_lens.cli.arguments import MAX_ENTRIES, MAX_LENGTH, path, shares, whole, words

if TYPE_CHECKING:
    from rh_lens.evaluation.tasks import Task
    from rh_lens.prompts import NeedlePrompt
    from rh_lens.runtime import Bridge
    from rh_lens.uses import CacheLog, CompressionCurve


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Keep the whole context only in key-value groups that hold the best heads, and windows in "
        "all others; measure needle recall and perplexity against the bytes of the cache, beside "
        "random groups and the first layers. Prompts use other needles than detection does; "
        "questions about short documents are answered as well."
    )
    parser.set_defaults(run=_run)
    add = parser.add_argument
    add("scores", type=path, metavar="SCORES", help="run folder or head_scores.json")
    options.add_model(parser)
    options.add_prompts(parser)
    parser.set_defaults(lengths="512", depths=4)
    add("--keep", type=shares, default="0,0.1,0.25,0.5,1", metavar="S,S,...",
        help="shares of the groups that keep the whole context (default: %(default)s)")  # fmt: skip
    add("--sink", type=whole(0, MAX_ENTRIES), default=4,
        help="first tokens that every group keeps (default: %(default)s)")  # fmt: skip
    add("--recent", type=whole(1, MAX_ENTRIES), default=64,
        help="last tokens that the other groups see (default: %(default)s)")  # fmt: skip
    add("--draws", type=whole(1, MAX_ENTRIES), default=5,
        help="draws of random groups for each share (default: %(default)s)")  # fmt: skip
    add("--draw-seed", type=whole(0, MAX_SEED), default=0, help="seed of these draws")
    add("--chunk", type=whole(1, MAX_ENTRIES), default=512,
        help="tokens of a prompt that are read in one pass (default: %(default)s)")  # fmt: skip
    add("--items", type=whole(0, MAX_LENGTH), default=24,
        help="questions about documents, 0 for none (default: %(default)s)")  # fmt: skip
    add("--data", type=words, metavar="FILE", help="these questions in SQuAD's form, as in rh-lens "
        "evaluate; default: some in the bundled model's words")  # fmt: skip
    add("--out", type=path, metavar="DIR", help="results; default: a new folder in rh_lens_runs. "
        "A command that was stopped there goes on")  # fmt: skip
    output.add_quiet(parser)
    output.add_json(parser)


def _run(args: argparse.Namespace) -> int:
    from rh_lens.detection import require_scores_of
    from rh_lens.prompts import evaluation_needles, load_haystack, load_needles, load_template
    from rh_lens.runs import describe_command, describe_model, read_scores
    from rh_lens.runs.read_scores import require_run_of
    from rh_lens.views import summarise

    with options.reserved(args, "compress") as out:
        haystack = load_haystack(args.haystack, seed=args.seed)
        needles = load_needles(args.needles) if args.needles else evaluation_needles()
        scores = read_scores(args.scores)
        task = _task(args)
        model = options.load_model(args)
        template = load_template(args.template, model.tokenizer)
        prompts = options.build_prompts(args, model, haystack, needles, template)
        description = describe_command("compress", options.values(args), prompts)
        description["model"] = describe_model(model, args.model)
        require_run_of(args.scores, description["model"])
        require_scores_of(scores, model)
        log = _log(args, out, model, prompts, task, description)
        curve = _measure(args, model, scores.mean(), prompts, task, log)
        output.say(args, summarise(curve), end="\n\n")
        output.print_record(args, curve=output.rows_of(curve.summary()))
        _save(out, curve, description)
        output.say(args, f"Saved in {out}")
    return 0


def _task(args: argparse.Namespace) -> "Task | None":
    """Questions about documents, if any are asked."""
    from rh_lens.demo.tasks import example_task
    from rh_lens.evaluation.tasks import load_task

    if not args.items:
        return None
    if args.data:
        return load_task("qa", args.data, limit=args.items)
    return example_task("qa", args.items, seed=args.seed)


def _log(
    args: argparse.Namespace,
    out: Path,
    model: "Bridge",
    prompts: "list[NeedlePrompt]",
    task: "Task | None",
    description: dict[str, Any],
) -> "CacheLog":
    """What caches gave before, if this is the same command again."""
    from rh_lens.evaluation.tasks import task_prompts
    from rh_lens.runs import prompts_sha256
    from rh_lens.uses import CacheLog

    asked = [] if task is None else task_prompts(model.tokenizer, task)
    key = {
        "weights": description["model"]["weights_sha256"],
        "dtype": args.dtype,
        "prompts": prompts_sha256(prompts),
        "questions": prompts_sha256(asked) if asked else None,
        "haystack": args.haystack,
        "seed": args.seed,
    }
    key |= {name: getattr(args, name) for name in ("lengths", "sink", "chunk", "max_new_tokens")}
    log = CacheLog(out, key | {"stop": args.stop})
    if log.caches:
        print(f"rh-lens: {len(log.caches)} caches are measured in {out}", file=sys.stderr)
    return log


def _measure(
    args: argparse.Namespace,
    model: "Bridge",
    scores: Any,
    prompts: "list[NeedlePrompt]",
    task: "Task | None",
    log: "CacheLog",
) -> "CompressionCurve":
    """The curve, with the perplexity of prose that the prompts don't hold."""
    from rh_lens.prompts import load_haystack
    from rh_lens.uses import compression_curve

    prose = load_haystack(args.haystack, seed=args.seed + 2)
    tokens = model.tokenizer("\n".join(prose.documents), return_tensors="pt").input_ids[0]
    return compression_curve(
        model,
        prompts,
        scores,
        shares=args.keep,
        sink=args.sink,
        recent=args.recent,
        n_random=args.draws,
        seed=args.draw_seed,
        text=tokens[: max(args.lengths)],
        task=task,
        done=log.caches,
        on_cache=log.add,
        stop=options.stop_rule(args, model),
        max_new_tokens=args.max_new_tokens,
        chunk=args.chunk,
        progress=output.shows_progress(args),
    )


def _save(out: Path, curve: "CompressionCurve", description: dict[str, Any]) -> None:
    """Tables, how they were made, and a picture where matplotlib is there."""
    from rh_lens.files import write_json, write_text
    from rh_lens.views import plot_compression

    write_json(out / "run.json", description)
    write_text(out / "answers.csv", curve.answers.to_csv(index=False))
    if not curve.reading.empty:
        write_text(out / "reading.csv", curve.reading.to_csv(index=False))
    write_text(out / "curve.csv", curve.summary().to_csv(index=False))
    output.save_picture(out / "curve.png", lambda: plot_compression(curve))
