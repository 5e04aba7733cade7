"""Tables, sentences and a heat map that fit a terminal of 80 columns."""

import textwrap
from collections.abc import Collection, Mapping, Sequence
from math import isnan
from typing import Any

WIDTH = 80
"""Columns that every text keeps to."""
_LEFT_OUT, _LOW, _SHADES = "·", "░", "▒▓█"
_MOST_ROWS = 32


def table_text(
    rows: Sequence[Mapping[Any, str]],
    *,
    n_keys: int = 1,
    left: Collection[str] = (),
    width: int = WIDTH,
) -> str:
    """Rows of text as aligned columns; columns that don't fit follow below, after the same keys.

    Args:
        rows: Cells by column name, the same names in each row.
        n_keys: First columns, which name a row and are repeated in each block. They are aligned to
            the left where they hold words.
        left: Further columns that are aligned to the left.
        width: Columns of the terminal.
    """
    names = list(rows[0])
    columns = {name: [str(name), *(str(row[name]) for row in rows)] for name in names}
    wide = {name: max(map(len, cells)) for name, cells in columns.items()}
    keys, others = names[:n_keys], names[n_keys:]
    blocks, used = [list(keys)], sum(wide[name] + 1 for name in keys) - 1
    room = used
    for name in others:
        if room + 1 + wide[name] > width and len(blocks[-1]) > n_keys:
            blocks.append(list(keys))
            room = used
        blocks[-1].append(name)
        room += 1 + wide[name]
    words = {name for name in keys if not all(cell[:1].isdigit() for cell in columns[name][1:])}
    return "\n\n".join(
        _block([_aligned(columns[name], name in words | {*left}) for name in block])
        for block in blocks
    )


def _aligned(cells: Sequence[str], to_the_left: bool) -> list[str]:
    size = max(map(len, cells))
    return [cell.ljust(size) if to_the_left else cell.rjust(size) for cell in cells]


def _block(columns: Sequence[Sequence[str]]) -> str:
    return "\n".join(" ".join(row).rstrip() for row in zip(*columns, strict=True))


def wrapped(sentence: str, *, width: int = WIDTH) -> str:
    """A sentence on as many lines as it needs; the later ones are set in by two spaces."""
    return textwrap.fill(sentence, width, subsequent_indent="  ", break_on_hyphens=False)


def block_map(scores: Sequence[Sequence[float]], threshold: float, *, width: int = WIDTH) -> str:
    """A heat map in characters: a row a layer, layer 0 at the top, a character a head.

    Models of more than 32 layers have several layers in a row, and of more heads than fit several
    heads in a character: it shows the highest score of them.

    Args:
        scores: A row of scores for each layer.
        threshold: Score from which on a head counts as a retrieval head.
        width: Columns of the terminal.
    """
    n_layers, n_heads = len(scores), len(scores[0])
    label = 2 * len(str(n_layers - 1)) + 2
    tall, wide = -(-n_layers // _MOST_ROWS), -(-n_heads // (width - label))
    lines = []
    for first in range(0, n_layers, tall):
        last = min(first + tall, n_layers) - 1
        name = str(first) if first == last else f"{first}-{last}"
        heads = [
            _shade([score for row in scores[first : last + 1] for score in row[at : at + wide]],
                   threshold)
            for at in range(0, n_heads, wide)
        ]  # fmt: skip
        lines.append(f"{name:>{label - 1}} {''.join(heads)}".rstrip())
    steps = zip(_SHADES, _steps(threshold), strict=True)
    legend = "  ".join(f"{shade} {step:.2g}" for shade, step in steps)
    many = f" ({wide} heads a character)" * (wide > 1)
    what = f"Score by layer (down) and head (across){many}; at least:"
    return "\n".join([what, *lines, f"{_LEFT_OUT} 0  {_LOW} above 0  {legend}  (blank: no score)"])


def _shade(scores: Sequence[float], threshold: float) -> str:
    """The character of the highest of some scores."""
    known = [score for score in scores if not isnan(score)]
    if not known:
        return " "
    best = max(known)
    if best < threshold:
        return _LOW if best > 0 else _LEFT_OUT
    # 0.7 is dark though 0.1 + 0.9 x 2/3 is a little more in binary.
    return _SHADES[sum(best >= step - 1e-9 for step in _steps(threshold)[1:])]


def _steps(threshold: float) -> list[float]:
    """Lowest scores of the three shades, from the threshold on."""
    return [threshold + share * (1 - threshold) for share in (0, 1 / 3, 2 / 3)]
