"""Arguments of `rh-lens evaluate`."""

import argparse

from rh_lens.checks import MAX_SEED
from rh_lens.cli import options, output
from rh_lens.cli.ablate_arguments import FAMILIES, SCOPES
from rh_lens.cli.arguments import MAX_ENTRIES, number, numbers, path, whole, words

TASK_NAMES = ("qa", "musique", "hotpotqa", "gsm8k", "mmlu", "longbench", "ruler", "own")
WAYS = ("usual", "chain", "answer", "both")
MATCHES = ("layer", "kv-group", "any")
OPERATORS = ("zero", "scale", "uniform")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All arguments of the command."""
    parser.description = (
        "Silence the top K heads by score, and random control heads, while the model answers a "
        "task: extractive questions, chains of thought, sums, lettered questions. Without --data: "
        "small items made up for the bundled model, which only reads."
    )
    add = parser.add_argument
    add("scores", nargs="?", type=path, metavar="RUN", help="run folder or head_scores.json; "
        "default: found anew, for the bundled model only")  # fmt: skip
    options.add_model(parser)
    _add_task(parser)
    add("--top", type=numbers, metavar="K,K,...", help="numbers of heads; default: those of "
        "0,1,2,5,10,20,50 that the model has, and three quarters and all of its retrieval "
        "heads")  # fmt: skip
    add("--threshold", type=number(at_least=0, at_most=1), default=0.1,
        help="retrieval heads score this much or more; they are no controls")  # fmt: skip
    add("--controls", type=whole(0, MAX_ENTRIES), default=10, help="control draws for each K")
    add("--match", choices=MATCHES, default="layer", help="what controls share with the top K")
    add("--rankings", type=whole(0, MAX_ENTRIES), default=19,
        help="rankings drawn to test the heads by: p is at least 1 / (rankings + 1)")  # fmt: skip
    add("--family", choices=FAMILIES, default="layer", help="inside what these rankings exchange "
        "heads (default: %(default)s)")  # fmt: skip
    add("--control-seed", type=whole(0, MAX_SEED), default=0,
        help="seed of the controls and rankings")  # fmt: skip
    add("--operator", choices=OPERATORS, default="zero", help="default: %(default)s")
    add("--factor", type=number(), default=0.5, help="of --operator scale (default: %(default)s)")
    add("--scope", choices=SCOPES, default="both", help="while the prompt is read, while the "
        "answer is decoded, or both")  # fmt: skip
    add("--margin", type=number(above=0, below=1), default=0.05,
        help="change in score that does not matter, for the equivalence tests "
        "(default: %(default)s)")  # fmt: skip
    add("--out", type=path, metavar="DIR", help="results; default: a new folder in rh_lens_runs. "
        "A run that was stopped there goes on")  # fmt: skip
    output.add_quiet(parser)
    output.add_json(parser)


def _add_task(parser: argparse.ArgumentParser) -> None:
    """What is asked, and how."""
    add = parser.add_argument
    add("--task", choices=TASK_NAMES, default="qa", help="form of the data; qa is SQuAD's "
        "(default: %(default)s)")  # fmt: skip
    add("--data", type=words, metavar="FILE", help="data as published, or "
        "hf:OWNER/NAME:CONFIG/SPLIT@REVISION; default: items made up")  # fmt: skip
    add("--asked", choices=WAYS, default="usual", help="chain: with a written way to the answer; "
        "answer: for the answer alone; both: and the two compared")  # fmt: skip
    add("--limit", type=whole(1, 10_000_000), metavar="N", help="most items; default: all, 24 of "
        "those made up")  # fmt: skip
    add("--shots", type=whole(0, MAX_ENTRIES), default=0, metavar="N",
        help="first items of the data that stand in front as worked examples")  # fmt: skip
    add("--chat", action="store_true", help="prompts in the tokenizer's chat format")
    add("--max-new-tokens", type=whole(1, MAX_ENTRIES), help="longest answer in tokens; default: "
        "by the task")  # fmt: skip
    add("--closed-book", action="store_true", help="leave out items that the model answers without "
        "their document, and count them")  # fmt: skip
    add("--seed", type=whole(0, MAX_SEED), default=0, help="seed of the items made up")
