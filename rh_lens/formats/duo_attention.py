"""DuoAttention's gates (Xiao et al. 2024, arXiv:2410.10819): a number for each key-value head."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from rh_lens.checks import require_type, require_whole_number
from rh_lens.detection import RetrievalScores
from rh_lens.files import usable_path, write_text
from rh_lens.formats.score_file import ScoreFile, open_score_file, require_shape, scores_of_file
from rh_lens.heads import Head

GATES_FILE = "full_attention_heads.tsv"


def read_duo_attention(
    path: str | Path, *, n_layers: int | None = None, n_heads: int | None = None
) -> RetrievalScores:
    """Gates of a `full_attention_heads.tsv`: one line a layer, one number a key-value head.

    A gate near 1 says that the head needs the whole context (DuoAttention's "retrieval heads"),
    near 0 that its first and latest tokens suffice. It is learned, not counted: compare ranks with
    retrieval scores, not values. Gates are cut to [0, 1], as DuoAttention does when it loads them.

    Args:
        path: The file.
        n_layers: Layers of the model, to check the file against.
        n_heads: Query heads in a layer; each gets the gate of the key-value head it reads. None:
            the heads are the key-value heads.

    Returns:
        Scores named "duo-attention-gate", one sample.

    Raises:
        OSError: There is no such file.
        TypeError: An argument has the wrong type.
        ValueError: The file is no table of finite numbers, or does not fit the model.

    Examples:
        >>> write_duo_attention(scores, "full_attention_heads.tsv", n_kv_heads=4)
        >>> read_duo_attention("full_attention_heads.tsv", n_layers=4, n_heads=8).top(2)
        [Head(layer=2, head=2), Head(layer=2, head=3)]
    """
    require_shape(n_layers, n_heads)
    file = open_score_file(path)
    gates = _gates(file)
    if n_layers is not None and len(gates) != n_layers:
        raise ValueError(
            f"Expected one line for each of {n_layers} layers; found {len(gates)} in "
            f"{str(file.path)!r}. Check that the file belongs to this model."
        )
    if n_heads is not None:
        n_kv_heads = gates.shape[1]
        if n_heads % n_kv_heads:
            raise ValueError(
                f"Expected a number of key-value heads that divides {n_heads} query heads; found "
                f"{n_kv_heads} in {str(file.path)!r}. Check n_heads, and that the file belongs to "
                "this model."
            )
        gates = gates.repeat(n_heads // n_kv_heads, axis=1)
    values = {Head(*place): np.array([gate]) for place, gate in np.ndenumerate(gates.clip(0, 1))}
    return scores_of_file(
        file, values, format="DuoAttention gates", name="duo-attention-gate", n_samples=None
    )


def write_duo_attention(
    scores: RetrievalScores, path: str | Path, *, n_kv_heads: int | None = None
) -> None:
    """Write retrieval scores as DuoAttention gates: one line a layer, one number a key-value head.

    A key-value head gets the highest score among the query heads that read it: one that retrieves
    is enough to need the whole context. DuoAttention also wants a `config.json` beside the file,
    with its `sink_size` and `recent_size`.

    Args:
        scores: Retrieval scores in [0, 1] of every head.
        path: The file; name it `full_attention_heads.tsv`.
        n_kv_heads: Key-value heads in a layer; None: as many as query heads.

    Raises:
        OSError: The file can't be written.
        TypeError: An argument has the wrong type.
        ValueError: A head has no score or one outside [0, 1], or the heads do not divide.

    Examples:
        >>> write_duo_attention(scores, "full_attention_heads.tsv", n_kv_heads=4)
        >>> np.loadtxt("full_attention_heads.tsv").round(2)[2]
        array([0.06, 1.  , 1.  , 0.02])
    """
    require_type("scores", scores, RetrievalScores)
    usable_path("path", path)
    if n_kv_heads is not None:
        require_whole_number("n_kv_heads", n_kv_heads, at_least=1)
    mean = scores.mean().numpy()
    if not ((mean >= 0) & (mean <= 1)).all():
        raise ValueError(
            f"Expected a score in [0, 1] for every head; found {np.nanmin(mean):g} to "
            f"{np.nanmax(mean):g} and {np.isnan(mean).sum()} heads without one. Gates have no "
            "other values: use a score such as position."
        )
    n_layers, n_heads = mean.shape
    n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
    if n_heads % n_kv_heads:
        raise ValueError(
            f"Expected n_kv_heads to divide {n_heads} query heads; found {n_kv_heads}. Take it "
            "from the model's configuration."
        )
    gates = mean.reshape(n_layers, n_kv_heads, -1).max(axis=2)
    lines = ["\t".join(repr(float(gate)) for gate in row) for row in gates]
    write_text(path, "\n".join(lines) + "\n")


def _gates(file: ScoreFile) -> Float[np.ndarray, "layer kv_head"]:
    """The file's numbers."""
    rows: list[list[float]] = []
    for number, line in enumerate(file.text.strip("\n").split("\n"), start=1):
        row = [_gate(file, number, cell) for cell in line.strip("\r").split("\t")]
        if rows and len(row) != len(rows[0]):
            raise ValueError(
                f"Expected {len(rows[0])} gates in every line of {str(file.path)!r}, separated by "
                f"tabs; found {len(row)} in line {number}. Check that the file is whole."
            )
        rows.append(row)
    return np.array(rows)


def _gate(file: ScoreFile, line: int, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ValueError(
            f"Expected numbers separated by tabs in {str(file.path)!r}; found {cell[:60]!r} in "
            f"line {line}. Check that it is a {GATES_FILE} of DuoAttention."
        )
    return value
