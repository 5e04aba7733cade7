"""`rh-lens ask`: an answer about a document, with the places that it was copied from."""

import argparse
import os
import sys
from typing import TYPE_CHECKING

from rh_lens.cli import options, output
from rh_lens.cli.arguments import MAX_ENTRIES, number, path, whole, words
from rh_lens.cli.inputs import require_not_an_input

if TYPE_CHECKING:
    from rh_lens.uses import CitedAnswer


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Answer a question about a document, and cite the places of it that the retrieval heads "
        "copied the answer from. An answer that was not copied is flagged as unsupported."
    )
    parser.set_defaults(run=_run)
    add = parser.add_argument
    add("scores", type=path, metavar="SCORES", help="run folder or head_scores.json")
    add("question", type=words, metavar="QUESTION", help="asked after the document")
    add("--document", type=path, required=True, metavar="FILE", help="text in UTF-8")
    options.add_model(parser)
    add("--threshold", type=number(at_least=0, at_most=1), default=0.1,
        help="heads with this score or more are asked (default: %(default)s)")  # fmt: skip
    add("--heads", type=whole(1, MAX_ENTRIES), default=50,
        help="at most this many of them, the best (default: %(default)s)")  # fmt: skip
    add("--least-support", type=number(at_least=0, at_most=1), default=0.25,
        help="share of the heads, weighted by score, that must have copied a token "
        "(default: %(default)s)")  # fmt: skip
    add("--template", type=words, default="base",
        help="base, chat, a file, or text with {context}, {question}")  # fmt: skip
    add("--max-new-tokens", type=whole(1, MAX_ENTRIES), default=32,
        help="longest answer in tokens (default: %(default)s)")  # fmt: skip
    add("--stop", action="append", type=options.stop_text, metavar="TEXT", help="as in rh-lens "
        "detect; default: a line break")  # fmt: skip
    add("--out", type=path, metavar="FILE", help="also write an HTML page with the document")
    output.add_json(parser)


def _run(args: argparse.Namespace) -> int:
    from rh_lens.detection import require_scores_of
    from rh_lens.prompts import load_template
    from rh_lens.prompts.text_file import existing_file, read_text
    from rh_lens.runs import describe_model, read_scores
    from rh_lens.runs.read_scores import require_run_of
    from rh_lens.uses import cite
    from rh_lens.views import save_cited_page

    if args.out:
        require_not_an_input(args.out, [args.scores, args.document])
    remedy = "Save it as UTF-8 text."
    file = existing_file("a document", args.document, remedy="Check the path of --document.")
    document = read_text(file, remedy=remedy)
    scores = read_scores(args.scores)
    heads, weights = options.heads_above(args, scores)
    model = options.load_model(args)
    require_run_of(args.scores, describe_model(model, args.model))
    require_scores_of(scores, model)
    answer = cite(
        model,
        document,
        args.question,
        heads=heads,
        weights=weights,
        least_support=args.least_support,
        template=load_template(args.template, model.tokenizer),
        max_new_tokens=args.max_new_tokens,
        stop=options.stop_rule(args, model),
    )
    _print(args, answer)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        save_cited_page(answer, args.out)
        output.say(args, f"\nSaved in {args.out}: open it in a browser.")
    return 0


def _print(args: argparse.Namespace, answer: "CitedAnswer") -> None:
    from dataclasses import asdict

    from rh_lens.views import cited_text

    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    output.say(args, cited_text(answer, colour=colour))
    output.print_record(
        args,
        question=answer.asked.question,
        answer=answer.text.strip(),
        unsupported=answer.unsupported,
        support=answer.support,
        sources=[asdict(span) for span in answer.spans],
        parts=output.rows_of(answer.parts()),
        heads=[head.label for head in answer.heads],
    )
