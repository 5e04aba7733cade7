"""`rh-lens doubt`: would these heads have come out anyway?"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rh_lens.cli import options, output
from rh_lens.cli.arguments import MAX_ENTRIES, number, path, whole

if TYPE_CHECKING:
    from rh_lens.doubts import Checklist, DoubtCase
    from rh_lens.heads import Head

# As `rh_lens.doubts.DOUBTS` has them, which must not be imported here; a test compares the two.
DOUBTS = (
    "permuted answers",
    "random spans",
    "shuffled steps",
    "shuffled labels",
    "random weights",
    "dose-response",
    "alternatives",
    "operators",
    "sufficiency",
    "backup",
    "shapley",
    "plain text",
    "windows",
    "timing",
    "copy gain",
    "activity",
    "sink",
    "choices",
    "haystacks",
)
# The lengths that the arguments of prompts have room for, with one value for all doubts.
_LENGTH, _DEPTHS, _N_HEADS = 256, 2, 8


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Test the alternatives to 'these heads retrieve' one after the other, and print for each "
        "the claim, what speaks against it, the test, the result and the verdict: supported, not "
        "supported or undecided. Prompts use other needles than detection does."
    )
    parser.set_defaults(run=_run)
    add = parser.add_argument
    add("scores", type=path, metavar="RUN", help="run folder of rh-lens detect, or a score file")
    options.add_model(parser)
    parser.set_defaults(model=None)
    add("--doubts", type=names, metavar="NAME,NAME,...", help=f"some of: {', '.join(DOUBTS)}; "
        "default: all")  # fmt: skip
    add("--minutes", type=number(above=0, at_most=100_000), help="no doubt is begun later than "
        "this; default: there is time for all")  # fmt: skip
    add("--heads", type=whole(1, MAX_ENTRIES), default=_N_HEADS, help="the best heads at most, of "
        "those with the threshold (default: %(default)s)")  # fmt: skip
    add("--threshold", type=number(at_least=0, at_most=1), default=0.1,
        help="retrieval heads score this much or more (default: %(default)s)")  # fmt: skip
    add("--length", type=whole(1, 10**8), default=_LENGTH,
        help="prompt length in tokens (default: %(default)s)")  # fmt: skip
    add("--depths", type=whole(1, MAX_ENTRIES), default=_DEPTHS,
        help="depths of each needle (default: %(default)s)")  # fmt: skip
    add("--needles", type=path, metavar="FILE", help="JSON lines; default: twelve that detection "
        "does not use")  # fmt: skip
    add("--seed", type=whole(0, 2**31), default=0, help="of haystack and draws")
    add("--out", type=path, metavar="DIR", help="results; default: a new folder in rh_lens_runs. "
        "A checklist that was stopped there goes on")  # fmt: skip
    output.add_json(parser)


def names(text: str) -> list[str]:
    """Names of doubts from "dose-response,random spans"."""
    chosen = list(dict.fromkeys(part.strip() for part in text.split(",")))
    unknown = [one for one in chosen if one not in DOUBTS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"expected some of {', '.join(DOUBTS)}, with commas between them; found "
            f"{unknown[0][:60]!r}. Choose from these"
        )
    return chosen


def _run(args: argparse.Namespace) -> int:
    from rh_lens.detection import require_scores_of
    from rh_lens.prompts import load_needles
    from rh_lens.runs import read_scores
    from rh_lens.runs.provenance import describe_model
    from rh_lens.runs.read_scores import require_run_of

    scores = read_scores(args.scores)
    needles = load_needles(args.needles) if args.needles else None
    args.model = args.model or _model_of(args.scores)
    with options.reserved(args, "doubt") as out:
        model = options.load_model(args)
        description = describe_model(model, args.model)
        require_run_of(args.scores, description)
        require_scores_of(scores, model)
        case = _case(args, model, _heads(args, scores), needles)
        checklist = _settle(args, case, description, out)
        _print(args, case, checklist)
        output.say(args, f"Saved in {out}")
    return 0


def _model_of(run: Path) -> str:
    """The model that a run's folder names."""
    from rh_lens.runs import load_run
    from rh_lens.runs.log import has_log

    found = load_run(run).description.get("model", {}).get("name") if has_log(run) else None
    if not found:
        raise ValueError(
            f"Expected a run folder that names its model; found none in {str(run)!r}. Name the "
            "model with --model."
        )
    return str(found)


def _heads(args: argparse.Namespace, scores: Any) -> "list[Head]":
    found: list[Head] = scores.heads(args.threshold)[: args.heads]
    if not found:
        raise ValueError(
            f"Expected heads with a score of {args.threshold:g} or more in {str(args.scores)!r}; "
            "found none. Lower it with --threshold."
        )
    return found


def _case(args: argparse.Namespace, model: Any, heads: Any, needles: Any) -> "DoubtCase":
    from rh_lens.doubts import doubt_case

    return doubt_case(
        model,
        heads,
        needles=needles,
        context_length=args.length,
        n_depths=args.depths,
        seed=args.seed,
    )


def _settle(
    args: argparse.Namespace, case: "DoubtCase", description: dict[str, Any], out: Path
) -> "Checklist":
    """Settle what is missing in a folder, each kept as soon as it is settled."""
    from rh_lens.doubts import DoubtLog, run_doubts
    from rh_lens.runs import prompts_sha256

    key = {
        "weights_sha256": description["weights_sha256"],
        "prompts_sha256": prompts_sha256(case.prompts),
        "heads": [head.label for head in case.heads],
        "seed": args.seed,
    }
    log = DoubtLog(out, key)
    wanted = args.doubts or DOUBTS
    if n_done := sum(name in log.doubts for name in wanted):
        print(f"{n_done} of {len(wanted)} doubts are settled in {out}", file=sys.stderr)
    checklist = run_doubts(
        case, wanted, minutes=args.minutes, done=log.doubts.values(), on_doubt=log.add
    )
    log.write_tables(checklist)
    return checklist


def _print(args: argparse.Namespace, case: "DoubtCase", checklist: "Checklist") -> None:
    from rh_lens.views import summarise

    n_needles = len({one.needle.name for one in case.prompts})
    output.say(args, f"{case.labels}: {len(case.prompts)} prompts of {n_needles} needles.\n")
    output.say(args, summarise(checklist))
    output.print_record(
        args,
        heads=[head.label for head in case.heads],
        doubts=[one.row() for one in checklist.doubts],
        left_out=dict(checklist.left_out),
    )
