"""QRHead's lists of heads (Zhang et al. 2025, arXiv:2506.09944), best first."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rh_lens.checks import require_list, shown
from rh_lens.detection import RetrievalScores
from rh_lens.files import usable_path, write_text
from rh_lens.formats.score_file import ScoreFile, open_score_file, require_shape, scores_of_file
from rh_lens.heads import Head

_KEY = "attn_head_set"
MAX_YAML = 100_000
"""Longest configuration in characters; a list of 10,000 heads has 80,000."""


def read_qrhead(
    path: str | Path, *, n_layers: int | None = None, n_heads: int | None = None
) -> RetrievalScores:
    """Heads of a QRHead configuration or of a plain list, scored by their rank.

    A `.yaml` file names them under `attn_head_set` as `"13-18,14-23,..."`; a text file holds only
    the heads, separated by commas or white space. Such a list says which heads are best and in
    which order, not how good: head number i of k (from 0) scores (k - i) / k, the others 0, so that
    `top(k)` is the list.

    Args:
        path: The file.
        n_layers: Layers of the model; None: up to the last layer in the list.
        n_heads: Query heads in a layer; None: up to the last head in the list.

    Returns:
        Scores named "qrhead-rank", one sample.

    Raises:
        OSError: There is no such file.
        TypeError: An argument has the wrong type.
        ValueError: The file holds no list, names a head twice, or a head lies outside the shape.

    Examples:
        >>> write_qrhead(scores.top(3), "heads.yaml")
        >>> read_qrhead("heads.yaml", n_layers=4, n_heads=8)
        RetrievalScores('qrhead-rank': 1 trials, 4 layers of 8 heads; best L2H2 1.000, L2H3
         0.667, L2H4 0.333, L0H0 0.000, L0H1 0.000)
    """
    require_shape(n_layers, n_heads)
    file = open_score_file(path)
    in_yaml = file.path.suffix in (".yaml", ".yml")
    heads = _heads(file, _yaml_list(file) if in_yaml else file.text)
    values = {head: np.array([(len(heads) - i) / len(heads)]) for i, head in enumerate(heads)}
    return scores_of_file(
        file,
        values,
        format=f"QRHead {'YAML' if in_yaml else 'text'} list",
        name="qrhead-rank",
        n_samples=None,
        n_layers=n_layers,
        n_heads=n_heads,
        absent=0.0,
    )


def write_qrhead(heads: Sequence[Head], path: str | Path) -> None:
    """Write heads, best first, as QRHead reads them: YAML, or text where the name does not say so.

    QRHead's configurations also name a model (`model_name_or_path`, `model_base_class`): add it.

    Raises:
        OSError: The file can't be written.
        TypeError: An argument has the wrong type.
        ValueError: There is no head, or one is named twice.

    Examples:
        >>> write_qrhead(scores.top(3), "heads.txt")
        >>> open("heads.txt").read().strip()
        '2-2,2-3,2-4'
    """
    path = usable_path("path", path)
    heads = require_list("heads", heads, Head, remedy="Pass scores.top(k).")
    if not heads or len(set(heads)) < len(heads):
        raise ValueError(
            f"Expected heads to be one or more, each once; found "
            f"{shown([head.label for head in heads])}. Pass scores.top(k)."
        )
    text = ",".join(f"{head.layer}-{head.head}" for head in heads)
    if path.suffix in (".yaml", ".yml"):
        text = f'{_KEY}: "{text}"'
    write_text(path, text + "\n")


def _yaml_list(file: ScoreFile) -> Any:
    """What the YAML file holds under `attn_head_set`."""
    if len(file.text) > MAX_YAML:
        raise ValueError(
            f"Expected a configuration of {MAX_YAML:,} characters or fewer in {str(file.path)!r}; "
            f"found {len(file.text):,}. Write the heads into a .txt file, separated by commas."
        )
    try:
        content = yaml.safe_load(file.text)
    # A date such as 2024-13-45 is a ValueError, and a deep nesting a RecursionError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = " ".join(str(error).split())[:200]
        raise ValueError(
            f"Expected YAML in {str(file.path)!r}; found none: {where}. Correct the file."
        ) from None
    if not isinstance(content, dict) or _KEY not in content:
        raise ValueError(
            f"Expected heads under {_KEY!r} in {str(file.path)!r}; found no such key. Check that "
            "it is a configuration of QRHead."
        )
    return content[_KEY]


def _heads(file: ScoreFile, listed: Any) -> list[Head]:
    """The heads of a text, or of a list of texts or of pairs of numbers."""
    if isinstance(listed, str):
        listed = re.split(r"[,\s]+", listed.strip().strip(","))
    names = listed if isinstance(listed, list) else [listed]
    heads = [_head(file, name) for name in names]
    twice = [head.label for head, count in Counter(heads).items() if count > 1]
    if twice or not heads:
        raise ValueError(
            f"Expected one head or more, each once, in {str(file.path)!r}; found "
            f"{f'{twice[0]} twice' if twice else 'none'}. Correct the list."
        )
    return heads


def _head(file: ScoreFile, name: Any) -> Head:
    try:
        if isinstance(name, list) and [type(index) for index in name] == [int, int]:
            return Head(*name)
        return Head.parse(name)
    except (TypeError, ValueError):
        raise ValueError(
            f"Expected heads such as 13-18 in {str(file.path)!r}; found {shown(name)}. The list "
            "must name each head: 'full_heads' stands for all heads of a model and ranks none."
        ) from None
