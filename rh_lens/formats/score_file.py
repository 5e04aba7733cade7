"""A file with a value for every head: its text, its hash, and its heads as one result."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from rh_lens.checks import require_whole_number
from rh_lens.detection import RetrievalScores, ScoreOrigin
from rh_lens.files import read_bytes
from rh_lens.heads import MAX_INDEX, Head

# The largest table to make from the indices of a file alone: a typing error could fill the memory.
_MOST_HEADS = 1_000_000


@dataclass(frozen=True)
class ScoreFile:
    """A file's text and hash.

    Args:
        path: The file.
        text: Its content.
        sha256: Hexadecimal SHA-256 of its bytes.
    """

    path: Path
    text: str
    sha256: str


def open_score_file(path: str | Path) -> ScoreFile:
    """The file's text and hash.

    Raises:
        OSError: There is no such file.
        TypeError: The path is none.
        ValueError: It is empty, or not text.
    """
    content = read_bytes(path)
    path = Path(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"Expected a text file in UTF-8; found other bytes in {str(path)!r} at position "
            f"{error.start}. Check that it is a file of head scores."
        ) from None
    if not text.strip():
        raise ValueError(
            f"Expected scores of heads; found nothing in {str(path)!r}. The program that wrote it "
            "was probably stopped: make the file anew."
        )
    return ScoreFile(path, text, hashlib.sha256(content).hexdigest())


def require_shape(n_layers: int | None, n_heads: int | None) -> None:
    """Refuse numbers of layers and heads that no model has.

    Raises:
        TypeError: One is no whole number.
        ValueError: One is out of range.
    """
    for name, number in {"n_layers": n_layers, "n_heads": n_heads}.items():
        if number is not None:
            require_whole_number(name, number, at_least=1, at_most=MAX_INDEX + 1)


def scores_of_file(
    file: ScoreFile,
    values: Mapping[Head, Float[np.ndarray, " sample"]],
    *,
    format: str,
    name: str,
    n_samples: int | None,
    n_layers: int | None = None,
    n_heads: int | None = None,
    absent: float = float("nan"),
) -> RetrievalScores:
    """The heads' values as scores of a whole model.

    Args:
        file: Where the values come from.
        values: Values of each head, equally many.
        format: What the file looks like.
        name: Which definition the scores follow.
        n_samples: Samples in the file; None where it holds one value for each head.
        n_layers: Layers of the model; None: as many as the heads need.
        n_heads: Query heads in a layer; None: as many as the heads need.
        absent: Score of the heads that are not in the file.

    Raises:
        ValueError: A head lies outside the given shape, or the heads need an absurdly large one.
    """
    shape = _shape(file, values, n_layers, n_heads)
    n_rows = len(next(iter(values.values())))
    table = np.full((n_rows, *shape), absent, dtype=np.float64)
    for head, column in values.items():
        table[:, head.layer, head.head] = column
    origin = ScoreOrigin(str(file.path), file.sha256, format, n_samples)
    return RetrievalScores(torch.from_numpy(table), name, tuple(range(n_rows)), origin)


def _shape(
    file: ScoreFile,
    heads: Mapping[Head, Float[np.ndarray, " sample"]],
    n_layers: int | None,
    n_heads: int | None,
) -> tuple[int, int]:
    """Layers and heads of the model."""
    last_layer = max(heads, key=lambda head: head.layer)
    last_head = max(heads, key=lambda head: head.head)
    shape = (n_layers or last_layer.layer + 1, n_heads or last_head.head + 1)
    for head in (last_layer, last_head):
        if head.layer >= shape[0] or head.head >= shape[1]:
            raise ValueError(
                f"Expected heads of {shape[0]} layers with {shape[1]} heads each; found "
                f"{head.label} in {str(file.path)!r}. Check n_layers and n_heads, and that the "
                "file belongs to this model."
            )
    if (n_layers is None or n_heads is None) and shape[0] * shape[1] > _MOST_HEADS:
        raise ValueError(
            f"Expected the heads of one model; found {last_layer.label} and {last_head.label} in "
            f"{str(file.path)!r}. Correct the index, or pass n_layers and n_heads."
        )
    return shape
