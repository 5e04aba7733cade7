"""The `rh-lens` command: arguments, library calls, what is printed and saved."""

# Nothing heavy is imported here or in the commands: `rh-lens --help` answers at once.
import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from rh_lens.cli import ablate, audit, bench, compare, detect, merge
from rh_lens.cli.terminated import TerminatedError, sigterm_raises


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code.

    0 done, 1 no result, 2 bad input, 130 stopped by Ctrl-C, 143 stopped by SIGTERM.
    """
    args = _parser().parse_args(arguments)
    try:
        with sigterm_raises():
            return int(args.run(args))
    except (ValueError, TypeError, OSError) as error:
        print(f"rh-lens: error: {_one_line(error)}", file=sys.stderr)
        return 2
    except TerminatedError:
        print("rh-lens: stopped by SIGTERM", file=sys.stderr)
        return 143
    except KeyboardInterrupt:
        print("rh-lens: stopped", file=sys.stderr)
        return 130


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="rh-lens", description="Find the retrieval heads of a language model.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    detect.add(commands.add_parser("detect", help="score every head of a model"))
    merge.add(commands.add_parser("merge", help="join the shards of a run"))
    ablate.add(commands.add_parser("ablate", help="answers without the top heads, and controls"))
    audit.add(commands.add_parser("audit", help="what the published protocol did to scores"))
    compare.add(commands.add_parser("compare", help="whether models share their heads"))
    bench.add(commands.add_parser("bench", help="time detection against plain generation"))
    return parser


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
