"""`rh-lens compare`: whether models share their retrieval heads."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rh_lens.checks import MAX_REPEATS, MAX_SEED
from rh_lens.cli import output
from rh_lens.cli.arguments import MAX_ENTRIES, MAX_LENGTH, number, path, whole, words
from rh_lens.cli.inputs import require_not_an_input

if TYPE_CHECKING:
    from rh_lens.detection import RetrievalScores


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Compare head scores in pairs: correlations, top sets and rankings, each beside the range "
        "that permuted heads give (whole key-value groups where these are known). Models of "
        "different shapes are compared by profiles. Without arguments: the bundled family of small "
        "models."
    )
    parser.set_defaults(run=_run)
    add = parser.add_argument
    add(
        "results",
        type=words,
        nargs="*",
        metavar="[NAME=]PATH",
        help="run folders or score files, two or more",
    )
    add(
        "--top",
        type=whole(1, MAX_LENGTH),
        metavar="K",
        help="size of top sets; default: 5 %% of heads, at least 4",
    )
    add(
        "--p",
        type=number(above=0, below=1),
        default=0.9,
        help="persistence of rank-biased overlap (default: 0.9)",
    )
    add(
        "--kv-heads",
        type=whole(1, MAX_ENTRIES),
        metavar="N",
        help="key-value heads in a layer, where score files do not say: their groups are permuted",
    )
    add("--group", choices=("max", "mean"), help="compare key-value groups too, by this score")
    add(
        "--threshold",
        type=number(at_least=0, at_most=1),
        default=0.1,
        help="retrieval heads score this much or more",
    )
    add(
        "--permutations",
        type=whole(1, MAX_REPEATS),
        default=1000,
        help="for each range (default: 1000)",
    )
    add("--seed", type=whole(0, MAX_SEED), default=0, help="seed of the permutations")
    add("--out", type=path, metavar="FILE", help="save the table as CSV, one row a pair")
    output.add_json(parser)


def _run(args: argparse.Namespace) -> int:
    import pandas as pd

    from rh_lens.analysis import compare_scores
    from rh_lens.views import summarise

    if args.out:
        require_not_an_input(args.out, [_name_and_path(result)[1] for result in args.results])
    results, n_kv_heads = _read(args.results, args.kv_heads)
    output.say(args, summarise(results, threshold=args.threshold))
    comparisons = [
        compare_scores(
            results,
            k=args.top,
            p=args.p,
            n_kv_heads=n_kv_heads,
            group_by=group_by,
            n_permutations=args.permutations,
            seed=args.seed,
        )
        for group_by in dict.fromkeys([None, args.group])
    ]
    for comparison in comparisons:
        output.say(args, f"\n{summarise(comparison)}")
    table = pd.concat([comparison.to_dataframe() for comparison in comparisons])
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(args.out, index=False)
        output.say(args, f"\nSaved in {args.out}")
    heads = {
        name: [head.label for head in scores.heads(args.threshold)]
        for name, scores in results.items()
    }
    output.print_record(args, retrieval_heads=heads, pairs=output.rows_of(table))
    return 0


def _read(
    results: Sequence[str], n_kv_heads: int | None
) -> "tuple[dict[str, RetrievalScores], dict[str, int | None]]":
    """Scores and key-value heads by name: of the arguments, or of the bundled family."""
    if not results:
        from rh_lens.demo.family_scores import N_KV_HEADS, load_family_scores

        family = load_family_scores()
        return family, dict.fromkeys(family, N_KV_HEADS)
    from rh_lens.runs.read_scores import model_of_run, read_scores

    read: dict[str, RetrievalScores] = {}
    counts: dict[str, int | None] = {}
    for result in results:
        name, path = _name_and_path(result)
        if name in read:
            raise ValueError(
                f"Expected results with a name of their own; found {name!r} twice. "
                f"Write another name in front: NAME={path}."
            )
        read[name] = read_scores(path)
        model = model_of_run(path)
        counts[name] = n_kv_heads if model is None else int(model["n_key_value_heads"])
    return read, counts


def _name_and_path(result: str) -> tuple[str, Path]:
    """Name and path from `NAME=PATH` or a path, whose last telling part then is the name."""
    name, separator, rest = result.partition("=")
    if separator and not Path(result).exists():
        return name, Path(rest)
    path = Path(result)
    telling = path.resolve()
    if telling.name == "head_scores.json":
        telling = telling.parent
    return telling.name if telling.is_dir() else telling.stem, path
