"""Values of options from their text, and a parser that says what is wrong in one line."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from rh_lens.checks import (
    did_you_mean,
    require_number,
    require_path,
    require_text,
    require_whole_number,
    shown,
)

MAX_LENGTH = 10_000_000
MAX_ENTRIES = 1_000
# Characters of a message, whatever was typed.
_LONGEST = 600


def whole(at_least: int, at_most: int) -> Callable[[str], int]:
    """Reads whole numbers of a range."""

    def read(text: str) -> int:
        return _checked(int, text, require_whole_number, at_least=at_least, at_most=at_most)

    return read


def number(**limits: int | float) -> Callable[[str], float]:
    """Reads finite numbers; limits are those of `require_number`."""

    def read(text: str) -> float:
        return _checked(float, text, require_number, **limits)

    return read


def lengths(text: str) -> list[int]:
    """Prompt lengths from "128,256" or "4k,128k"; k stands for 1,024."""
    return _entries(text, _length, "lengths such as 128,256 or 4k")


def thresholds(text: str) -> list[float]:
    """Thresholds from "0.1,0.5"."""
    return _entries(text, number(at_least=0, at_most=1), "thresholds such as 0.1,0.5")


def shares(text: str) -> list[float]:
    """Shares from "0,0.25,1"."""
    return _entries(text, number(at_least=0, at_most=1), "shares such as 0.25,0.5,1")


def numbers(text: str) -> list[int]:
    """Numbers of heads from "0,1,2"."""
    return _entries(text, whole(0, MAX_LENGTH), "numbers such as 0,1,5")


def places(text: str) -> list[int]:
    """Numbers of first places from "1,3,10"."""
    return _entries(text, whole(1, MAX_LENGTH), "places such as 1,3,10")


def path(text: str) -> Path:
    """A path, which need not exist."""
    return _refused(lambda: require_path("it", text))


def words(text: str) -> str:
    """Text that is not blank."""
    _refused(lambda: require_text("it", text))
    return text


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, and what was probably meant."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=Defaults, **options)

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        self.exit(2, f"{self.prog}: error: {_with_guess(message)} See {self.prog} --help.\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does it, but each command refuses what it does not know itself."""
        known, extra = super().parse_known_args(args, namespace)
        if extra:
            options = [name for action in self._actions for name in action.option_strings]
            guess = did_you_mean(extra[0].partition("=")[0], options)
            self.error(f"unrecognized arguments: {shown(' '.join(extra))}. {guess}".rstrip())
        return known, extra


class Defaults(argparse.ArgumentDefaultsHelpFormatter):
    """Help that ends with the default, where there is one and the text does not say it."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        says = action.default is None or action.default is False or "default" in str(action.help)
        return action.help if says else super()._get_help_string(action)


def _length(text: str) -> int:
    thousands = re.fullmatch(r"\s*(\d{1,6})\s*k\s*", text, re.IGNORECASE)
    return whole(1, MAX_LENGTH)(str(1024 * int(thousands[1])) if thousands else text)


def _entries(text: str, read: Callable[[str], Any], wanted: str) -> list[Any]:
    parts = text.split(",")
    try:
        if len(parts) > MAX_ENTRIES:
            raise argparse.ArgumentTypeError(f"{len(parts)} entries")
        return [read(part) for part in parts]
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"expected {wanted}, found {shown(text)}: {error}"
        ) from None


def _checked(
    read: Callable[[str], Any], text: str, check: Callable[..., None], **limits: int | float
) -> Any:
    """A number, read and checked; text that is none is refused like a wrong number."""
    try:
        value: Any = read(text)
    except ValueError:
        value = text
    _refused(lambda: check("it", value, **limits))
    return value


def _refused(check: Callable[[], Any]) -> Any:
    """What a check gives; argparse names the option that was refused."""
    try:
        return check()
    except (TypeError, ValueError) as error:
        text = str(error).replace("Expected it to be", "expected", 1)
        raise argparse.ArgumentTypeError(text) from None


def _with_guess(message: str) -> str:
    """A message of argparse, cut where it is long, with the nearest of the choices it names."""
    found = re.search(r"invalid choice: '?(.*?)'? \(choose from (.*)\)", message, re.DOTALL)
    guess = did_you_mean(found[1], re.findall(r"[\w.-]+", found[2])) if found else ""
    message = " ".join(message[: 2 * _LONGEST].split())
    message = message if len(message) <= _LONGEST else f"{message[:_LONGEST]} ..."
    end = "" if message.endswith((".", "?")) else "."
    return f"{message}{end} {guess}".rstrip()
