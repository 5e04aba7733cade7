"""`rh-lens ablate`: what a model answers without its retrieval heads."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rh_lens.cli import options, output
from rh_lens.cli.ablate_arguments import add_arguments
from rh_lens.cli.ablate_saving import keeping, say_what_is_there, saying_where_to_go_on

if TYPE_CHECKING:
    import pandas as pd

    from rh_lens.detection import RetrievalScores
    from rh_lens.evaluation import AblationCurve, AblationPlan, AblationTables
    from rh_lens.heads import Head
    from rh_lens.interventions import HeadOutputs
    from rh_lens.prompts import Haystack, NeedlePrompt, Template
    from rh_lens.runtime import Bridge, StopRule

# Heads whose attention is recorded, for the table of errors: more would fill the memory.
N_RECORDED = 10


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.set_defaults(run=_run)
    add_arguments(parser)


def _run(args: argparse.Namespace) -> int:
    from rh_lens.detection import require_scores_of
    from rh_lens.prompts import evaluation_needles, load_haystack, load_needles, load_template
    from rh_lens.runs import describe_command, describe_model
    from rh_lens.runs.read_scores import require_run_of
    from rh_lens.runs.store import require_run_or_nothing

    # Before the model, which may take long to load: a mistake in these shows at once.
    with options.reserved(args, "ablate") as out:
        require_run_or_nothing(out, "answers")
        haystack = load_haystack(args.haystack, seed=args.seed)
        needles = load_needles(args.needles) if args.needles else evaluation_needles()
        scores = options.named_scores(args)
        model = options.load_model(args)
        template = load_template(args.template, model.tokenizer)
        prompts = options.build_prompts(args, model, haystack, needles, template)
        description = describe_command("ablate", options.values(args), prompts)
        description["model"] = describe_model(model, args.model)
        if args.scores:
            require_run_of(args.scores, description["model"])
        needed = scores is None or args.operator == "mean"
        reference = _reference_prompts(args, model, template) if needed else []
        scores = scores or _detect(args, model, reference)
        require_scores_of(scores, model)
        _ablate(args, model, reference, prompts, scores, description, out)
    return 0


def _ablate(
    args: argparse.Namespace,
    model: "Bridge",
    reference: "list[NeedlePrompt]",
    prompts: "list[NeedlePrompt]",
    scores: "RetrievalScores",
    description: dict[str, Any],
    out: Path,
) -> None:
    """Answer what is missing in a folder, print what was found and save it."""
    from rh_lens.evaluation import ablation_curve, ablation_tables, default_ks
    from rh_lens.interventions import operator_named
    from rh_lens.prompts import load_haystack
    from rh_lens.runs import AblationFolder
    from rh_lens.runtime import stop_for_needles
    from rh_lens.views import plot_curve

    ranking, retrieval = scores.ranking(), scores.heads(args.threshold)
    ks = args.top or default_ks(len(ranking), len(retrieval))
    recorded = (retrieval or ranking)[:N_RECORDED]
    description |= _heads_described(scores, retrieval, ranking[: max(ks)], recorded)
    stop = options.stop_rule(args, model) or stop_for_needles(model, (p.needle for p in prompts))
    # Prose that neither the prompts nor the reference prompts hold, where it can be written anew.
    prose = load_haystack(args.haystack, seed=args.seed + 2)
    how = _how(args, reference, prompts, stop) | {"recorded": description["recorded_heads"]}
    how["prose_sha256"] = prose.sha256
    means = _means(args, model, reference) if args.operator == "mean" else None
    with AblationFolder(out, description["model"], prompts, how, description) as folder:
        say_what_is_there(folder)
        keep = keeping(folder)
        with saying_where_to_go_on(folder):
            curve = ablation_curve(
                model,
                prompts,
                ranking,
                ks=ks,
                operator=operator_named(args.operator, model, factor=args.factor, means=means),
                scope=args.scope,
                exclude=retrieval,
                **_draws(args),
                record=recorded,
                on_plan=lambda plan: output.say(args, _before(plan, prompts), end="\n\n"),
                max_new_tokens=how["max_new_tokens"],
                stop=stop,
                progress=output.shows_progress(args),
                done=folder.done,
                on_answers=keep(folder.add),
            )
            on_losses = keep(folder.add_losses)
            fluency = _fluency(model, prose, curve, done=folder.losses, on_losses=on_losses)
        tables = ablation_tables(curve, fluency, margin=args.margin)
        _print(scores, retrieval, args, tables)
        folder.finish(tables)
    output.save_picture(out / "curve.png", lambda: plot_curve(tables))
    output.say(args, f"Saved in {out}")


def _draws(args: argparse.Namespace) -> dict[str, Any]:
    """Which other heads are drawn, as `ablation_curve` wants it."""
    return {
        "n_controls": args.controls,
        "match": [None if match == "any" else match for match in args.match],
        "n_rankings": args.rankings,
        "family": None if args.family == "any" else args.family,
        "seed": args.control_seed,
    }


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


def _before(plan: "AblationPlan", prompts: "list[NeedlePrompt]") -> str:
    """What the run can show, for a user who would rather change it now."""
    from rh_lens.views import summarise

    n_needles = len({prompt.needle.name for prompt in prompts})
    return f"{len(prompts)} prompts, {n_needles} needles. {summarise(plan)}"


def _how(
    args: argparse.Namespace,
    reference: "Sequence[NeedlePrompt]",
    prompts: "Sequence[NeedlePrompt]",
    stop: "StopRule",
) -> dict[str, Any]:
    """All that can move an answer besides the heads that are silenced."""
    from rh_lens.detection import room_for_answers
    from rh_lens.runs import prompts_sha256

    means = args.operator == "mean"
    return {
        "operator": args.operator,
        "factor": args.factor if args.operator == "scale" else None,
        "means_of": prompts_sha256(reference) if means else None,
        "scope": args.scope,
        "max_new_tokens": args.max_new_tokens or room_for_answers(prompts),
        "stop": {"token_ids": sorted(stop.token_ids), "strings": list(stop.strings)},
    }


def _print(
    scores: "RetrievalScores",
    retrieval: "Sequence[Head]",
    args: argparse.Namespace,
    tables: "AblationTables",
) -> None:
    """Before anything of it is saved: a full disk takes nothing of what was found."""
    from rh_lens.views import summarise

    output.say(args, _heads(scores, retrieval, args.threshold), end="\n\n")
    output.say(args, summarise(tables), end="\n\n")
    output.print_record(
        args,
        retrieval_heads=[head.label for head in retrieval],
        curve=output.rows_of(tables.curve),
        controls=output.rows_of(tables.controls) if tables.controls is not None else [],
        failures=output.rows_of(tables.failures) if tables.failures is not None else [],
    )


def _reference_prompts(
    args: argparse.Namespace, model: "Bridge", template: "Template"
) -> "list[NeedlePrompt]":
    """Prompts that share neither needles nor synthetic text with those of the curve."""
    from rh_lens.prompts import default_needles, load_haystack

    haystack = load_haystack(args.haystack, seed=args.seed + 1)
    return options.build_prompts(args, model, haystack, default_needles(), template)


def _means(
    args: argparse.Namespace, model: "Bridge", prompts: "Sequence[NeedlePrompt]"
) -> "HeadOutputs":
    from rh_lens.interventions import mean_head_outputs

    return mean_head_outputs(model, prompts, rows="answer" if args.scope == "decode" else "prompt")


def _detect(
    args: argparse.Namespace, model: "Bridge", prompts: "Sequence[NeedlePrompt]"
) -> "RetrievalScores":
    from rh_lens.detection import detect_retrieval_heads

    return detect_retrieval_heads(model, prompts, progress=output.shows_progress(args)).scores


def _fluency(
    model: "Bridge", prose: "Haystack", curve: "AblationCurve", **log: Any
) -> "pd.DataFrame | None":
    """Perplexity under the curve's conditions; None, and why, where it can't be measured."""
    from rh_lens.evaluation import curve_perplexity

    try:
        return curve_perplexity(model, prose, curve, **log)
    except ValueError as error:
        print(f"rh-lens: no perplexity: {error}", file=sys.stderr)
        return None


def _heads(scores: "RetrievalScores", heads: "Sequence[Head]", threshold: float) -> str:
    mean = scores.mean()
    shown = ", ".join(f"{h.label} {mean[h.layer, h.head]:.2f}" for h in heads[:10])
    more = f" and {len(heads) - 10} more" if len(heads) > 10 else ""
    return f"{len(heads)} heads with a {scores.name} score >= {threshold:g}: {shown}{more}"
