"""`rh-lens evaluate`: what a model does with its retrieval heads in tasks."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rh_lens.cli import options, output
from rh_lens.cli.ablate_saving import keeping, say_what_is_there, saying_where_to_go_on
from rh_lens.cli.evaluate_arguments import add_arguments

if TYPE_CHECKING:
    from rh_lens.detection import RetrievalScores
    from rh_lens.evaluation.tasks import Task, TaskCurve, TaskTables
    from rh_lens.heads import Head
    from rh_lens.runs import TaskFolder
    from rh_lens.runtime import Bridge

# Items that are made up, and heads whose attention is recorded for the steps of a chain.
N_ITEMS, N_RECORDED = 24, 10


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.set_defaults(run=_run)
    add_arguments(parser)


def _run(args: argparse.Namespace) -> int:
    from rh_lens.detection import require_scores_of
    from rh_lens.runs import describe_model
    from rh_lens.runs.read_scores import require_run_of
    from rh_lens.runs.store import require_run_or_nothing

    # Before the model, which may take long to load: a mistake in these shows at once.
    with options.reserved(args, "evaluate") as out:
        require_run_or_nothing(out, "task answers")
        scores = options.named_scores(args)
        tasks = _tasks(args)
        model = options.load_model(args)
        described = describe_model(model, args.model)
        if args.scores:
            require_run_of(args.scores, described)
        scores = scores or _detect(args, model)
        require_scores_of(scores, model)
        tasks, left_out = _asked_of(args, model, tasks)
        _evaluate(args, model, tasks, scores, described | {"left_out": left_out}, out)
    return 0


def _tasks(args: argparse.Namespace) -> "list[Task]":
    """The task in each way that it is asked; of two, the one with the chain first."""
    from rh_lens.demo.tasks import example_task
    from rh_lens.evaluation.tasks import examples_from, load_task

    ways: dict[str, list[bool | None]]
    ways = {"usual": [None], "chain": [True], "answer": [False], "both": [True, False]}
    tasks = []
    for chain in ways[args.asked]:
        if args.data:
            task = load_task(args.task, args.data, chain=chain, limit=args.limit)
        else:
            n = args.limit or N_ITEMS
            task = example_task(args.task, n + args.shots, chain=chain, seed=args.seed)
        if args.max_new_tokens:
            task = replace(task, max_new_tokens=args.max_new_tokens)
        tasks.append(examples_from(task, args.shots) if args.shots else task)
    return tasks


def _detect(args: argparse.Namespace, model: "Bridge") -> "RetrievalScores":
    """Scores of the bundled model's heads, by the needles of detection."""
    from rh_lens.detection import detect_retrieval_heads
    from rh_lens.prompts import build_grid, default_needles, synthetic_haystack

    prompts = build_grid(
        model.tokenizer,
        synthetic_haystack(),
        default_needles(),
        context_lengths=[256],
        depths=4,
        n_distractors=0,
    )
    return detect_retrieval_heads(model, prompts, progress=output.shows_progress(args)).scores


def _asked_of(
    args: argparse.Namespace, model: "Bridge", tasks: "list[Task]"
) -> "tuple[list[Task], dict[str, int]]":
    """The tasks with the items that fit the model and that it does not know; how many were not."""
    from rh_lens.evaluation.tasks import keep_fitting, without_known_items

    n_items = len(tasks[0].items)
    fitting = [
        keep_fitting(model.tokenizer, task, max_tokens=model.cfg.n_ctx, chat=args.chat)[0]
        for task in tasks
    ]
    tasks = _shared(fitting)
    left_out = {"too_long": n_items - len(tasks[0].items), "known": 0}
    if args.closed_book:
        progress = output.shows_progress(args)
        split = without_known_items(model, tasks[-1], chat=args.chat, progress=progress)
        left_out["known"] = split.n_known
        tasks = _shared([*tasks[:-1], split.task])
    told = {"too_long": "too long for the model", "known": "known without their document"}
    for why, n in left_out.items():
        if n:
            print(f"rh-lens: {n} of {n_items} items are left out: {told[why]}", file=sys.stderr)
    return tasks, left_out


def _shared(tasks: "Sequence[Task]") -> "list[Task]":
    """The tasks with the items that all of them have."""
    ids = set.intersection(*({item.id for item in task.items} for task in tasks))
    if not ids:
        raise ValueError(
            "Expected items that can be asked in both ways; found none that fit. Take shorter "
            "documents, or --asked usual."
        )
    return [
        replace(task, items=tuple(item for item in task.items if item.id in ids)) for task in tasks
    ]


def _evaluate(
    args: argparse.Namespace,
    model: "Bridge",
    tasks: "Sequence[Task]",
    scores: "RetrievalScores",
    described: dict[str, Any],
    out: Path,
) -> None:
    """Answer what is missing in a folder, print what was found and save it."""
    from rh_lens.evaluation import default_ks
    from rh_lens.evaluation.tasks import claims_of_task, task_prompts, task_tables
    from rh_lens.runs import CLAIMS, TaskFolder, describe_command, save_claims
    from rh_lens.views import plot_tasks

    ranking, retrieval = scores.ranking(), scores.heads(args.threshold)
    ks = args.top or default_ks(len(ranking), len(retrieval))
    recorded = (retrieval or ranking)[:N_RECORDED]
    prompts = [p for task in tasks for p in task_prompts(model.tokenizer, task, chat=args.chat)]
    left_out = described.pop("left_out")
    description = describe_command("evaluate", options.values(args), prompts)
    description |= {"model": described, "left_out": left_out}
    description |= _heads_described(scores, retrieval, ranking[: max(ks)], recorded)
    with TaskFolder(out, described, prompts, _how(args, tasks, recorded), description) as folder:
        say_what_is_there(folder)
        with saying_where_to_go_on(folder):
            ask = partial(_curve, args, model, folder, ranking, ks, retrieval, recorded)
            first = ask(tasks[0], 0)
            other = ask(tasks[1], len(tasks[0].items)) if len(tasks) > 1 else None
        tables = task_tables(first, other, margin=args.margin)
        _print(args, tables, retrieval, left_out)
        folder.finish(tables)
    k = max((k for k in ks if k <= len(retrieval)), default=max(ks))
    if any(ks):
        save_claims(claims_of_task(tables, k or None), out / CLAIMS)
    output.save_picture(out / "tasks.png", lambda: plot_tasks(tables))
    output.say(args, f"Saved in {out}")


def _curve(
    args: argparse.Namespace,
    model: "Bridge",
    folder: "TaskFolder",
    ranking: "Sequence[Head]",
    ks: Sequence[int],
    retrieval: "Sequence[Head]",
    recorded: "Sequence[Head]",
    task: "Task",
    first: int,
) -> "TaskCurve":
    """The curve of one way of asking, whose prompts are counted from `first` on in the folder."""
    from rh_lens.evaluation.tasks import task_curve
    from rh_lens.interventions import operator_named

    return task_curve(
        model,
        task,
        ranking,
        ks=ks,
        operator=operator_named(args.operator, model, factor=args.factor),
        scope=args.scope,
        n_controls=args.controls,
        match=None if args.match == "any" else args.match,
        n_rankings=args.rankings,
        family=None if args.family == "any" else args.family,
        exclude=retrieval,
        seed=args.control_seed,
        heads=recorded if task.answering == "generate" else (),
        chat=args.chat,
        progress=output.shows_progress(args),
        done=folder.answers_from(first, len(task.items)),
        on_answers=keeping(folder)(partial(folder.add_from, first)),
    )


def _heads_described(
    scores: "RetrievalScores",
    retrieval: "Sequence[Head]",
    ranking: "Sequence[Head]",
    recorded: "Sequence[Head]",
) -> dict[str, Any]:
    """What `run.json` says of the heads."""
    return {
        "score": scores.name,
        "scores_origin": asdict(scores.origin) if scores.origin else None,
        "retrieval_heads": [head.label for head in retrieval],
        "ranking": [head.label for head in ranking],
        "recorded_heads": [head.label for head in recorded],
    }


def _how(
    args: argparse.Namespace, tasks: "Sequence[Task]", recorded: "Sequence[Head]"
) -> dict[str, Any]:
    """All that can move an answer besides the heads that are silenced."""
    return {
        "tasks": [task.described() for task in tasks],
        "operator": args.operator,
        "factor": args.factor if args.operator == "scale" else None,
        "scope": args.scope,
        "recorded": [head.label for head in recorded],
    }


def _print(
    args: argparse.Namespace,
    tables: "TaskTables",
    retrieval: "Sequence[Head]",
    left_out: dict[str, int],
) -> None:
    """Before anything of it is saved: a full disk takes nothing of what was found."""
    from rh_lens.views import summarise

    output.say(args, summarise(tables), end="\n\n")
    output.print_record(
        args,
        retrieval_heads=[head.label for head in retrieval],
        left_out=left_out,
        **{
            name: output.rows_of(table)
            for name, table in tables.by_name().items()
            if name in ("curve", "controls", "ways", "breaks")
        },
    )
