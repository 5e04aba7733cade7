"""`rh-lens rank`: passages in the order of the attention that retrieval heads pay them."""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rh_lens.checks import MAX_SEED
from rh_lens.cli import options, output
from rh_lens.cli.arguments import MAX_ENTRIES, MAX_LENGTH, number, path, places, whole, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rh_lens.heads import Head
    from rh_lens.prompts import DocumentPrompt, Template
    from rh_lens.runtime import Bridge
    from rh_lens.uses import RankingCase, RankingLog, RankingQuality

# Half of the passages of a query that is made from a needle are made to mislead.
_N_MADE = 10
_N_SENTENCES = 200


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Order the passages of queries by the attention that a query pays them in the retrieval "
        "heads, beside all heads, random heads and BM25: nDCG and recall, with intervals over "
        "queries. Without --data the queries are those of needles that detection does not use."
    )
    parser.set_defaults(run=_run)
    add = parser.add_argument
    add("scores", type=path, metavar="SCORES", help="run folder or head_scores.json")
    add("--data", type=path, metavar="PATH", help="a folder in BEIR's form, or JSON lines with "
        "query, passages and relevant (indices from 0); default: needles among prose")  # fmt: skip
    add("--split", type=words, default="test", help="judgements of a folder")
    add("--passages", type=whole(2, MAX_ENTRIES), metavar="N", help="passages of a query, of a "
        f"folder the best by BM25; default: 20, of needles {_N_MADE}")  # fmt: skip
    add("--limit", type=whole(1, MAX_LENGTH), metavar="N", help="first N queries; default: all")
    options.add_model(parser)
    add("--threshold", type=number(at_least=0, at_most=1), default=0.1,
        help="heads with this score or more (default: %(default)s)")  # fmt: skip
    add("--heads", type=whole(1, MAX_ENTRIES), default=16,
        help="at most this many of them, the best (default: %(default)s)")  # fmt: skip
    add("--controls", type=whole(0, MAX_ENTRIES), default=3,
        help="sets of as many random heads (default: %(default)s)")  # fmt: skip
    add("--k", type=whole(1, MAX_ENTRIES), default=10, help="places that count for nDCG")
    add("--recall-at", type=places, default="1,3", metavar="K,K,...",
        help="places that count for recall (default: %(default)s)")  # fmt: skip
    add("--null-query", type=words, default="N/A", metavar="TEXT", help="its attention is "
        "subtracted; none for no calibration (default: %(default)s)")  # fmt: skip
    add("--template", type=words, default="base",
        help="base, chat, a file, or text with {context}, {question}")  # fmt: skip
    add(
        "--seed",
        type=whole(0, MAX_SEED - 2),
        default=0,
        help="seed of controls and needle passages",
    )
    add("--out", type=path, metavar="DIR", help="results; default: a new folder in rh_lens_runs. "
        "A command that was stopped there goes on")  # fmt: skip
    output.add_quiet(parser)
    output.add_json(parser)


def _run(args: argparse.Namespace) -> int:
    from rh_lens.detection import require_scores_of
    from rh_lens.prompts import load_template
    from rh_lens.runs import describe_command, describe_model, read_scores
    from rh_lens.runs.read_scores import require_run_of
    from rh_lens.uses import ranking_quality
    from rh_lens.views import summarise

    with options.reserved(args, "rank") as out:
        cases = _cases(args)
        scores = read_scores(args.scores)
        heads, _ = options.heads_above(args, scores)
        methods = _methods(args, heads, scores.mean().shape)
        model = options.load_model(args)
        template = load_template(args.template, model.tokenizer)
        prompts = _fitting(model, cases, template)
        description = describe_command("rank", options.values(args), prompts)
        description["model"] = describe_model(model, args.model)
        require_run_of(args.scores, description["model"])
        require_scores_of(scores, model)
        log = _log(args, out, methods, template, description)
        found = ranking_quality(
            model,
            cases,
            methods,
            k=args.k,
            recall_ks=args.recall_at,
            bm25=log.key["bm25"],
            done=log.queries,
            on_query=log.add,
            progress=output.shows_progress(args),
            null_query=None if args.null_query == "none" else args.null_query,
            template=template,
        )
        output.say(args, summarise(found))
        output.say(args, _told(args, heads), end="\n\n")
        output.print_record(
            args, ranking=output.rows_of(found.summary()), heads=[one.label for one in heads]
        )
        _save(out, found, description)
        output.say(args, f"Saved in {out}")
    return 0


def _cases(args: argparse.Namespace) -> "tuple[RankingCase, ...]":
    """The queries that the arguments name."""
    from rh_lens.prompts import evaluation_needles, synthetic_haystack
    from rh_lens.uses import needle_cases, read_ranking

    if args.data is None:
        n_passages = args.passages or _N_MADE
        haystack = synthetic_haystack(n_sentences=max(_N_SENTENCES, 4 * n_passages), seed=args.seed)
        cases = needle_cases(evaluation_needles(), haystack, n_passages=n_passages, seed=args.seed)
    else:
        cases = read_ranking(args.data, split=args.split, n_passages=args.passages or 20)
    return cases[: args.limit]


def _methods(
    args: argparse.Namespace, heads: "tuple[Head, ...]", shape: "Sequence[int]"
) -> dict[str, Any]:
    """Sets of heads by what they are called."""
    from rh_lens.interventions import control_heads

    methods: dict[str, Any] = {"retrieval heads": heads, "all heads": None}
    if args.controls:
        n_layers, n_heads = shape
        drawn = control_heads(
            heads, n_layers=n_layers, n_heads=n_heads, n_draws=args.controls, seed=args.seed
        )
        methods |= {f"random heads {n}": one for n, one in enumerate(drawn.draws, start=1)}
    return methods


def _fitting(
    model: "Bridge", cases: "tuple[RankingCase, ...]", template: "Template"
) -> "list[DocumentPrompt]":
    """The prompts of all queries, before any is read: one that is too long would end the run."""
    from rh_lens.uses.ranking import asked_passages

    prompts = []
    for case in cases:
        prompt = asked_passages(model.tokenizer, case.query, case.passages, template).prompt
        if len(prompt.tokens) >= model.cfg.n_ctx:
            raise ValueError(
                f"Expected queries with their passages below {model.cfg.n_ctx} tokens, the model's "
                f"context window; found {len(prompt.tokens)} in query {case.name[:80]!r} with "
                f"{len(case.passages)} passages. Lower --passages, or shorten them."
            )
        prompts.append(prompt)
    return prompts


def _log(
    args: argparse.Namespace,
    out: Path,
    methods: dict[str, Any],
    template: "Template",
    description: dict[str, Any],
) -> "RankingLog":
    """What queries gave before, if this is the same command again, be it with more queries."""
    from rh_lens.uses import RankingLog

    key = {
        "weights": description["model"]["weights_sha256"],
        "dtype": args.dtype,
        "template": template.text,
        "null_query": args.null_query,
        "heads": {
            name: None if heads is None else [head.label for head in heads]
            for name, heads in methods.items()
        },
        "bm25": find_spec("bm25s") is not None,
    }
    log = RankingLog(out, key)
    if log.queries:
        print(f"rh-lens: {len(log.queries)} queries are read in {out}", file=sys.stderr)
    return log


def _told(args: argparse.Namespace, heads: "tuple[Head, ...]") -> str:
    """Which heads, and why there is no BM25."""
    from rh_lens.views.terminal import wrapped

    said = f"Retrieval heads: {', '.join(head.label for head in heads)}."
    if find_spec("bm25s") is None:
        said += " No BM25, as bm25s is not installed: pip install bm25s."
    return wrapped(said)


def _save(out: Path, found: "RankingQuality", description: dict[str, Any]) -> None:
    """Tables, and how they were made."""
    from rh_lens.files import write_json, write_text

    write_json(out / "run.json", description)
    write_text(out / "ranking.csv", found.summary().to_csv(index=False))
    write_text(out / "queries.csv", found.table.to_csv(index=False))
    write_text(out / "scores.csv", found.scores.to_csv(index=False))
