"""The `rh-lens` command: arguments, library calls, what is printed and saved."""

# Nothing heavy is imported here or in the commands: `rh-lens --help` answers at once.
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version

from rh_lens.cli import (
    ablate,
    ask,
    audit,
    bench,
    compare,
    compress,
    demo_page,
    describe,
    detect,
    doubt,
    evaluate,
    merge,
    rank,
    show,
    study,
)
from rh_lens.cli.arguments import Parser
from rh_lens.cli.completion import complete
from rh_lens.cli.failures import end_quietly, explain
from rh_lens.cli.terminated import TerminatedError, sigterm_raises


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code.

    0 done, 1 no result, 2 bad input, 130 stopped by Ctrl-C, 141 nobody reads the output any more,
    143 stopped by SIGTERM.
    """
    try:
        parser = _parser()
        complete(parser)
        args = parser.parse_args(arguments)
        with sigterm_raises():
            code = int(args.run(args))
            sys.stdout.flush()
        return code
    except SystemExit as end:  # argparse has said why
        return int(end.code or 0)
    except BrokenPipeError:
        return end_quietly()
    except Exception as error:
        if (text := explain(error)) is None:
            raise
        print(f"rh-lens: error: {text}", file=sys.stderr)
        return 2
    except TerminatedError:
        print("rh-lens: stopped by SIGTERM", file=sys.stderr)
        return 143
    except KeyboardInterrupt:
        print("rh-lens: stopped", file=sys.stderr)
        return 130


@cache
def _parser() -> Parser:
    parser = Parser(prog="rh-lens", description="Find the retrieval heads of a language model.")
    parser.add_argument("--version", action="version", version=f"rh-lens {version('rh-lens')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    detect.add(commands.add_parser("detect", help="score every head of a model"))
    merge.add(commands.add_parser("merge", help="join the shards of a run"))
    ablate.add(commands.add_parser("ablate", help="answers without the top heads, and controls"))
    evaluate.add(commands.add_parser("evaluate", help="tasks without the top heads, and controls"))
    doubt.add(commands.add_parser("doubt", help="would these heads have come out anyway"))
    compress.add(commands.add_parser("compress", help="recall against the size of the KV cache"))
    described = "what else a run's heads do: induction, copying, ..."
    describe.add(commands.add_parser("describe", help=described))
    study.add(commands.add_parser("study", help="all of it in one folder and on one page"))
    ask.add(commands.add_parser("ask", help="an answer about a document, with its sources"))
    rank.add(commands.add_parser("rank", help="passages by the attention of retrieval heads"))
    show.add(commands.add_parser("show", help="a run as one page that opens in a browser"))
    demo_page.add(commands.add_parser("demo-page", help="that page for the bundled model"))
    audit.add(commands.add_parser("audit", help="what the published protocol did to scores"))
    compare.add(commands.add_parser("compare", help="whether models share their heads"))
    bench.add(commands.add_parser("bench", help="time detection against plain generation"))
    return parser
