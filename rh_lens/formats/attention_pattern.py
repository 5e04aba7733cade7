"""Folders that DuoAttention and kvpress take their heads from."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from rh_lens.checks import require_type, require_whole_number, shown
from rh_lens.detection import RetrievalScores
from rh_lens.files import new_folder, read_bytes, usable_path, write_json
from rh_lens.formats.duo_attention import GATES_FILE, read_duo_attention, write_duo_attention

CONFIG_FILE = "config.json"


class AttentionPattern(NamedTuple):
    """What DuoAttention needs to know of a model, in the order in which kvpress's press wants it.

    Args:
        sink: First positions that every key-value head keeps.
        recent: Last positions that heads keep which don't keep everything.
        gates: A number in [0, 1] for each key-value head; the lowest are cut short first.
    """

    sink: int
    recent: int
    gates: Float[np.ndarray, "layer kv_head"]


def export_heads(
    scores: RetrievalScores,
    folder: str | Path,
    *,
    n_kv_heads: int | None = None,
    sink: int = 128,
    recent: int = 256,
) -> Path:
    """Write retrieval scores as a folder that DuoAttention's `load_attn_pattern` reads.

    It holds `full_attention_heads.tsv` (see `write_duo_attention`) and a `config.json` with
    `sink_size` and `recent_size`. kvpress's `DuoAttentionPress` knows the folders of a few models
    by name; `read_attention_pattern` gives what it takes of any other:

        DuoAttentionPress.load_attention_pattern = staticmethod(lambda model: pattern)

    Args:
        scores: Retrieval scores in [0, 1] of every head.
        folder: A new folder.
        n_kv_heads: Key-value heads in a layer; None: as many as query heads.
        sink: First positions that every head keeps.
        recent: Last positions that the other heads keep.

    Returns:
        The folder.

    Raises:
        FileExistsError: There is something at `folder`.
        OSError: The folder can't be written.
        TypeError: An argument has the wrong type.
        ValueError: A head has no score or one outside [0, 1], or the heads do not divide.

    Examples:
        >>> folder = export_heads(scores, "pattern", n_kv_heads=4, sink=4, recent=64)
        >>> read_attention_pattern(folder).gates.shape
        (4, 4)
    """
    require_type("scores", scores, RetrievalScores)
    require_whole_number("sink", sink, at_least=0)
    require_whole_number("recent", recent, at_least=1)
    with new_folder("folder", folder) as temporary:
        write_duo_attention(scores, temporary / GATES_FILE, n_kv_heads=n_kv_heads)
        write_json(temporary / CONFIG_FILE, {"sink_size": sink, "recent_size": recent})
    return Path(folder)


def read_attention_pattern(folder: str | Path) -> AttentionPattern:
    """The gates and windows of a folder of DuoAttention, its own or one of `export_heads`.

    Raises:
        OSError: There is no such folder, or a file is missing.
        TypeError: The folder is no path.
        ValueError: A file is not as it should be.

    Examples:
        >>> folder = export_heads(scores, "pattern", n_kv_heads=4, sink=4, recent=64)
        >>> read_attention_pattern(folder).sink
        4
    """
    folder = usable_path("folder", folder)
    sizes = _sizes(folder / CONFIG_FILE)
    gates = read_duo_attention(folder / GATES_FILE).mean().numpy()
    return AttentionPattern(*sizes, gates)


def _sizes(path: Path) -> tuple[int, int]:
    """Sink and recent size of a configuration."""
    try:
        content: Any = json.loads(read_bytes(path))
    except ValueError as error:
        raise ValueError(
            f"Expected JSON in {str(path)!r}; found {str(error)[:200]}. Correct the file."
        ) from None
    known: dict[str, Any] = content if isinstance(content, dict) else {}
    sink, recent = known.get("sink_size"), known.get("recent_size")
    if not (type(sink) is type(recent) is int and sink >= 0 and recent >= 0):
        raise ValueError(
            f"Expected sink_size and recent_size in {str(path)!r}, whole numbers of 0 or more; "
            f"found {shown(sink)} and {shown(recent)}. Take the file that came with the gates."
        )
    return sink, recent
