"""What a command prints: text for people, or one JSON object for programs."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from rh_lens.detection import RetrievalResult


def add_json(parser: argparse.ArgumentParser) -> None:
    """The argument that asks for JSON."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object in place of text"
    )


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """The argument against progress bars."""
    parser.add_argument(
        "--quiet", action="store_true", help="no progress bar; without a terminal there is none"
    )


def shows_progress(args: argparse.Namespace) -> bool:
    """Whether somebody is there to watch a progress bar."""
    return not args.quiet and sys.stderr.isatty()


def draws_characters() -> bool:
    """Whether the output is a terminal that knows the characters of a heat map."""
    return sys.stdout.isatty() and (sys.stdout.encoding or "").lower().startswith("utf")


def say(args: argparse.Namespace, text: str = "", end: str = "\n") -> None:
    """Print a text at once, unless JSON was asked for."""
    if not args.json:
        print(text, end=end, flush=True)


def print_record(args: argparse.Namespace, **record: Any) -> None:
    """Print these values as one JSON object, if that was asked for; NaN becomes null."""
    if args.json:
        plain = _plain(record)
        print(json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False, default=str))


def print_result(
    args: argparse.Namespace, result: "RetrievalResult", out: Path, **more: Any
) -> None:
    """Print a detection as one JSON object, if that was asked for: all heads, best first."""
    print_record(
        args,
        out=str(out),
        score=result.scores.name,
        threshold=result.threshold,
        n_prompts=len(result.trials),
        n_accepted=len(result.accepted),
        **more,
        retrieval_heads=[head.label for head in result.heads()],
        heads=rows_of(result.to_dataframe()),
    )


def save_picture(path: Path, draw: "Callable[[], Figure]") -> None:
    """Draw and save a picture, where matplotlib is there."""
    from rh_lens.files import replacing

    try:
        figure = draw()
    except ImportError as error:
        print(f"rh-lens: no {path.name}: {error}", file=sys.stderr)
        return
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")


def rows_of(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """A table's rows by column name, as JSON has them."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _plain(value: Any) -> Any:
    """A value without NaN and without NumPy's types."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, str | bool | int) or value is None:
        return value
    # pandas' NA is neither equal nor unequal to anything.
    return None if str(value) in ("nan", "<NA>", "NaT") else value
