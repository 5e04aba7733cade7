"""Numbers as they stand on the page."""

import math
import unicodedata

from rh_lens.representation import cut

MAX_TEXT = 2_000
"""Characters shown of a text from a needle or a model."""


def number(value: float, digits: int = 3) -> str:
    """A number with so many decimals; a dash where there is none."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def interval(low: float, high: float, digits: int = 2) -> str:
    """From one number to another; a dash where there is none."""
    return "–" if math.isnan(low) else f"{low:.{digits}f} to {high:.{digits}f}"


def share(value: float) -> str:
    """A share in percent; a dash where there is none."""
    return "–" if math.isnan(value) else f"{100 * value:.3g}\u00a0%"


def pvalue(value: float) -> str:
    """A p-value with two digits that count."""
    return "–" if math.isnan(value) else f"{value:.2g}"


def count(n: int, noun: str) -> str:
    """A number of things: 1 head, 1,024 heads."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def listed(words: list[str]) -> str:
    """Words in a row: a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def shortened(value: object, most: int = MAX_TEXT) -> str:
    """A text of any length on one line, without characters that turn the reading direction."""
    kept = "".join(" " if _is_control(one) else one for one in str(value)[: 4 * most])
    return cut(kept, most)


def _is_control(character: str) -> bool:
    """Whether a character can't be seen: a control, or one that turns the direction of text."""
    return unicodedata.category(character) in ("Cc", "Cf") and character != "\u200d"
