"""Which prompts `rh-lens detect` asks: one needle each, several packed, or the published grid."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from rh_lens.cli import options, output
from rh_lens.cli.arguments import whole

if TYPE_CHECKING:
    from rh_lens.evaluation import GridChoice
    from rh_lens.prompts import Haystack, Needle, Template
    from rh_lens.runtime import Bridge, RunEstimate

N_PAPER_LENGTHS, N_PAPER_DEPTHS, PAPER_RANGE = 20, 10, (1_000, 50_000)
"""Wu et al. 2024 (arXiv:2404.15574): 20 lengths, uniform from 1K to 50K tokens, by 10 depths."""
# As `rh_lens.prompts.HAYSTACK_KINDS` has them, which must not be imported here; a test compares.
KINDS = (
    "plain", "same form", "same entity", "agreeing", "contradicting", "outvoting", "ambiguous",
    "several", "spread", "non-literal", "paraphrased", "key-value", "codes", "multi-key",
    "multi-value", "multi-query", "variables", "needle language", "question language", "code",
    "table", "json", "instruction", "question first", "unanswerable",
)  # fmt: skip
N_HARDER = 8
"""Needles of a kind of haystack."""


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments about the grid."""
    add = parser.add_argument
    add("--packed", nargs="?", const="auto", choices=("auto", "always", "never"), default="never",
        help="several needles in each haystack, which is read once for all of them. Without a "
        "value, auto: a small grid is answered both ways first, and needles are asked one by one "
        "where the two differ (default: %(default)s)")  # fmt: skip
    add("--needles-per-context", type=whole(1, 10_000), metavar="N",
        help="with --packed, needles in one haystack; default: all")  # fmt: skip
    add("--haystack-kind", choices=KINDS, metavar="KIND", help="harder haystacks, with "
        f"{N_HARDER} needles of their own in place of --needles: {', '.join(KINDS)}")  # fmt: skip
    add("--grid", choices=("asked", "paper"), default="asked", help="paper: the published "
        "protocol, one needle a prompt, 20 lengths by 10 depths, from the shortest to the longest "
        "of --lengths or from 1,000 to 50,000 tokens (default: %(default)s)")  # fmt: skip


def require_grid(args: argparse.Namespace) -> None:
    """Refuse options that exclude each other, before anything is loaded.

    Raises:
        ValueError: Two of them do.
    """
    if args.grid == "paper" and args.packed != "never":
        raise ValueError(
            "Expected --grid paper, which has one needle a prompt, or --packed; found both. Leave "
            "one of them out."
        )
    if args.needles_per_context is not None and args.packed == "never":
        raise ValueError(
            f"Expected --needles-per-context with --packed; found {args.needles_per_context} "
            "without. Add --packed."
        )
    require_kind(args)


def require_kind(args: argparse.Namespace) -> None:
    """Refuse options that a kind of haystack leaves no place for.

    Raises:
        ValueError: There is one.
    """
    if not args.haystack_kind:
        return
    if args.needles:
        raise ValueError(
            f"Expected --needles or --haystack-kind, which has its own; found both, with "
            f"{args.haystack_kind!r}. Leave one of them out."
        )
    if args.haystack_kind == "question first" and args.packed != "never":
        raise ValueError(
            "Expected --packed without --haystack-kind 'question first', where no two needles "
            "share a beginning; found both. Leave one of them out."
        )


def require_needles(args: argparse.Namespace, needles: "Sequence[Needle]") -> None:
    """Refuse needles that can't share a haystack, before the model is loaded.

    Raises:
        ValueError: One could answer another's question.
    """
    from rh_lens.prompts.collisions import require_no_collisions

    if args.packed != "never" and args.needles_per_context is None:
        remedy = "Leave one of each pair out, or hide fewer with --needles-per-context."
        require_no_collisions(needles, remedy)


def choose(
    args: argparse.Namespace,
    model: "Bridge",
    haystack: "Haystack",
    needles: "Sequence[Needle]",
    template: "Template",
) -> "GridChoice":
    """The prompts to ask; says on the standard error what a check of packed ones found."""
    from rh_lens.evaluation import GridChoice, choose_grid
    from rh_lens.runs.packing import keep_packing, read_packing

    room = _room(args, model, needles)
    if args.grid == "paper":
        args.lengths, args.depths = _paper_lengths(args, model.cfg.n_ctx - room), N_PAPER_DEPTHS
    if args.packed == "never":
        prompts = options.build_prompts(args, model, haystack, needles, template)
        return GridChoice(tuple(prompts))
    run = _run_key(args, haystack, needles)
    earlier = read_packing(args.out, run) if args.packed == "auto" and args.out else None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        choose_again = partial(
            choose_grid,
            model,
            haystack,
            needles,
            context_lengths=args.lengths,
            depths=args.depths,
            packed=args.packed,
            needles_per_context=args.needles_per_context,
            progress=output.shows_progress(args),
            detection={
                "threshold": args.threshold,
                "max_new_tokens": args.max_new_tokens,
                "stop": options.stop_rule(args, model),
            },
            template=template,
            max_context=model.cfg.n_ctx - room,
            allow_repeat=args.allow_repeat,
            n_distractors=args.distractors,
            inexact_spans=args.inexact_spans,
        )
        choice = choose_again(earlier=earlier)
        if args.packed == "auto" and args.out and not (earlier or args.dry_run):
            kept = keep_packing(args.out, run, choice.record())
            # Another shard was first, and found otherwise: all ask the same.
            if kept["asked_together"] != choice.asked_together:
                choice = choose_again(earlier=kept)
    for warning in caught:
        print(f"rh-lens: {warning.message}", file=sys.stderr)
    for check in choice.checks:
        print(f"Checked {check.text}.", file=sys.stderr)
    kind = f"{choice.n_together} needles a haystack" if choice.is_packed else "one needle each"
    why = ", as chosen when this run began" if earlier else ""
    print(f"Asking with {kind}{why}.", file=sys.stderr)
    return choice


def _run_key(
    args: argparse.Namespace, haystack: "Haystack", needles: "Sequence[Needle]"
) -> dict[str, Any]:
    """What a choice of packed needles depends on: a run with another one is another run."""
    names = (
        *("model", "revision", "dtype", "lengths", "depths", "needles_per_context", "template"),
        *("seed", "distractors", "inexact_spans", "allow_repeat", "haystack_kind", "closed_book"),
        *("threshold", "max_new_tokens"),
    )
    asked = {name: getattr(args, name, None) for name in names}
    return {
        "options": {name: str(value) for name, value in asked.items()},
        "haystack": haystack.sha256,
        "needles": sha256("\n".join(map(repr, needles)).encode()).hexdigest(),
    }


def estimate(args: argparse.Namespace, model: "Bridge", grid: "GridChoice") -> "RunEstimate":
    """What the run will take; a dry run is timed by its first context."""
    from rh_lens.detection import detection_options
    from rh_lens.runtime import estimate_run

    choices = detection_options(
        model,
        grid.prompts,
        score=args.score,
        max_new_tokens=args.max_new_tokens,
        stop=options.stop_rule(args, model),
    )
    return estimate_run(
        model,
        grid.prompts,
        max_new_tokens=choices.max_new_tokens,
        stop=choices.stop if args.dry_run else None,
    )


def _room(args: argparse.Namespace, model: "Bridge", needles: "Sequence[Needle]") -> int:
    """Tokens to leave for an answer: as many as the longest may have, and one for its space."""
    from rh_lens.detection import room_for_answers

    if args.max_new_tokens is not None:
        return int(args.max_new_tokens)
    encode = model.tokenizer.encode
    longest = 1 + max(len(encode(one.answer, add_special_tokens=False)) for one in needles)
    return max(room_for_answers(()), longest + longest // 2)


def _paper_lengths(args: argparse.Namespace, most: int) -> list[int]:
    """Lengths of the published protocol, as far as the model goes."""
    low, high = PAPER_RANGE
    if args.lengths is not options.DEFAULT_LENGTHS:
        low, high = min(args.lengths), max(args.lengths)
    elif most < high:
        print(f"rh-lens: the model reads {most:,} tokens: lengths go up to that, not to {high:,}.",
              file=sys.stderr)  # fmt: skip
        high = max(most, low)
    step = (high - low) / (N_PAPER_LENGTHS - 1)
    return sorted({round(low + place * step) for place in range(N_PAPER_LENGTHS)})
