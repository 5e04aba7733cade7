"""Score files in the shapes that other retrieval-head projects publish and read."""

import json
from pathlib import Path

from rh_lens.checks import require_flag, require_text, require_type
from rh_lens.detection import RetrievalScores
from rh_lens.files import usable_path, write_text
from rh_lens.formats.duo_attention import GATES_FILE, read_duo_attention
from rh_lens.formats.head_score_json import HeadLists, parse_head_scores
from rh_lens.formats.qrhead import read_qrhead
from rh_lens.formats.score_file import ScoreFile, open_score_file, require_shape, scores_of_file


def read_head_scores(
    path: str | Path,
    *,
    n_layers: int | None = None,
    n_heads: int | None = None,
    means_only: bool = False,
    name: str = "published",
) -> RetrievalScores:
    """Scores of a published file, with the file's hash and form as their `origin`.

    | file | read as |
    |---|---|
    | `.tsv`, or a folder with `full_attention_heads.tsv` | DuoAttention: `read_duo_attention` |
    | `.yaml`, `.yml`, `.txt` | QRHead: `read_qrhead` |
    | anything else | JSON with a value for each head |

    The JSON of Wu et al. 2024 (arXiv:2404.15574), DeCoRe, RetMask, HeadKV and LOCOS is
    `{"16-19": [score of each sample, ...], ...}`. One number in place of the list (a mean) is read
    too, and so are `{"16": {"19": ...}}`, pairs of head and score such as `[["16-19", 0.9], ...]`
    or `[[[16, 19], 0.9], ...]`, and any of these as the entry "scores" or "head_scores" of an
    object. A head that the file does not hold has NaN.

    Args:
        path: The file.
        n_layers: Layers of the model; None: up to the last layer in the file.
        n_heads: Query heads in a layer; None: up to the last head in the file (for DuoAttention,
            its key-value heads).
        means_only: Replace each list by its mean. Lists may then differ in length.
        name: Which definition the scores follow, as far as you know; for JSON only.

    Returns:
        `values: [sample layer head]`; one sample where the file holds means. `trials` count from 0.

    Raises:
        OSError: There is no such file.
        TypeError: An argument has the wrong type.
        ValueError: The file is damaged or of another kind; the message names file and place.

    Examples:
        >>> write_head_scores(scores, "scores.json")
        >>> published = read_head_scores("scores.json", n_layers=4, n_heads=8)
        >>> published.top(2), published.origin.format
        ([Head(layer=2, head=2), Head(layer=2, head=3)], 'head lists')
    """
    require_shape(n_layers, n_heads)
    require_flag("means_only", means_only)
    require_text("name", name)
    path = usable_path("path", path)
    if path.is_dir() or path.suffix == ".tsv":
        path = path / GATES_FILE if path.is_dir() else path
        return read_duo_attention(path, n_layers=n_layers, n_heads=n_heads)
    if path.suffix in (".yaml", ".yml", ".txt"):
        return read_qrhead(path, n_layers=n_layers, n_heads=n_heads)
    file = open_score_file(path)
    read = parse_head_scores(file)
    values = read.values
    if means_only:
        values = {head: column.mean(keepdims=True) for head, column in values.items()}
    _require_one_length(file, values)
    return scores_of_file(
        file,
        values,
        format=read.format,
        name=name,
        n_samples=None if read.means or means_only else len(next(iter(values.values()))),
        n_layers=n_layers,
        n_heads=n_heads,
    )


def write_head_scores(scores: RetrievalScores, path: str | Path) -> None:
    """Write scores as one JSON object, `{"16-19": [score of each trial, ...], ...}`.

    The key is layer and head. A trial that a head could not see has no place in its list, and a
    head that saw none (no attention in its layer) has no key: the mean over a list is the head's
    retrieval score, for every reader of this format.

    Raises:
        OSError: The file can't be written.
        TypeError: An argument has the wrong type.
        ValueError: The path is empty or holds a zero byte.

    Examples:
        >>> write_head_scores(scores, "scores.json")
        >>> open("scores.json").read()[:40]
        '{"0-0": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0'
    """
    require_type("scores", scores, RetrievalScores)
    n_layers, n_heads = scores.values.shape[1:]
    lists = {
        f"{layer}-{head}": column[~column.isnan()].tolist()
        for layer in range(n_layers)
        for head in range(n_heads)
        for column in [scores.values[:, layer, head]]
    }
    _write(path, {key: values for key, values in lists.items() if values})


def write_head_means(scores: RetrievalScores, path: str | Path) -> None:
    """Write retrieval scores as one JSON object, `{"16-19": 0.94, ...}`.

    A head without a score has no key.

    Raises:
        OSError: The file can't be written.
        TypeError: An argument has the wrong type.
        ValueError: The path is empty or holds a zero byte.

    Examples:
        >>> write_head_means(scores, "means.json")
        >>> open("means.json").read()[:30]
        '{"0-0": 0.0, "0-1": 0.0, "0-2"'
    """
    require_type("scores", scores, RetrievalScores)
    heads = scores.ranking()
    mean = scores.mean()
    _write(path, {f"{h.layer}-{h.head}": float(mean[h.layer, h.head]) for h in sorted(heads)})


def _write(path: str | Path, content: object) -> None:
    # On one line: the published readers stop at the first line's end.
    write_text(path, json.dumps(content) + "\n")


def _require_one_length(file: ScoreFile, values: HeadLists) -> None:
    """Refuse lists whose samples cannot be told apart."""
    (first, column), *others = values.items()
    for head, other in others:
        if len(other) != len(column):
            raise ValueError(
                f"Expected lists of one length in {str(file.path)!r}; found {len(column)} scores "
                f"of {first.label} and {len(other)} of {head.label}: samples can't be matched. "
                "Pass means_only=True to read the mean of each list."
            )
