"""Arguments of `rh-lens ablate`."""

import argparse
from collections.abc import Callable

from rh_lens.checks import MAX_SEED
from rh_lens.cli import options, output
from rh_lens.cli.arguments import MAX_ENTRIES, number, numbers, path, whole

OPERATORS = ("zero", "scale", "uniform", "mean")
SCOPES = ("both", "decode", "prefill")
MATCHES = ("layer", "kv-group", "norm", "entropy", "any")
FAMILIES = ("layer", "kv-group", "any")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All arguments of the command."""
    parser.description = (
        "Silence the top K heads by score, and random control heads, and measure needle recall, "
        "how answers fail and perplexity. Without arguments: the heads of the bundled model. "
        "Prompts use other needles than detection does."
    )
    add = parser.add_argument
    add("scores", nargs="?", type=path, metavar="SCORES", help="run folder or head_scores.json; "
        "default: found anew, for the bundled model only")  # fmt: skip
    options.add_model(parser)
    options.add_prompts(parser)
    parser.set_defaults(lengths="256", depths=4)
    add("--top", type=numbers, metavar="K,K,...", help="numbers of heads; default: those of "
        "0,1,2,5,10,20,50 that the model has, and three quarters and all of its retrieval "
        "heads")  # fmt: skip
    add("--threshold", type=number(at_least=0, at_most=1), default=0.1,
        help="retrieval heads score this much or more; they are no controls")  # fmt: skip
    _add_controls(add)
    add("--operator", choices=OPERATORS, default="zero", help="default: %(default)s; mean: over "
        "prompts with the needles of detection")  # fmt: skip
    add("--factor", type=number(), default=0.5, help="of --operator scale (default: %(default)s)")
    add("--scope", choices=SCOPES, default="both", help="while the prompt is read, while the "
        "answer is decoded, or both")  # fmt: skip
    add("--out", type=path, metavar="DIR", help="results; default: a new folder in rh_lens_runs. "
        "A run that was stopped there goes on")  # fmt: skip
    output.add_quiet(parser)
    output.add_json(parser)


def _add_controls(add: Callable[..., argparse.Action]) -> None:
    """Which other heads are silenced, and how they are tested."""
    add("--controls", type=whole(0, MAX_ENTRIES), default=5,
        help="control draws for each K and match")  # fmt: skip
    add(
        "--match",
        type=matches,
        default="layer,norm,any",
        metavar="M,M,...",
        help="what controls "
        f"share with the top K, side by side: {', '.join(MATCHES)} (default: %(default)s)",
    )
    add("--rankings", type=whole(0, MAX_ENTRIES), default=19,
        help="rankings drawn to test the heads by: p is at least 1 / (rankings + 1), for any "
        "number of Ks (default: %(default)s)")  # fmt: skip
    add("--family", choices=FAMILIES, default="layer", help="inside what these rankings exchange "
        "heads (default: %(default)s)")  # fmt: skip
    add(
        "--control-seed",
        type=whole(0, MAX_SEED),
        default=0,
        help="seed of the controls and rankings",
    )
    add("--margin", type=number(above=0, below=1), default=0.1,
        help="change in recall that does not matter, for the equivalence test of the "
        "controls (default: %(default)s)")  # fmt: skip


def matches(text: str) -> list[str]:
    """What controls share with the top K, from "layer,norm"."""
    chosen = list(dict.fromkeys(text.split(",")))
    if not set(chosen) <= set(MATCHES):
        raise argparse.ArgumentTypeError(
            f"expected some of {','.join(MATCHES)} with commas between them, found {text!r}"
        )
    return chosen
