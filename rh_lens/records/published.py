"""Score files in the shape that other retrieval-head projects publish and read."""

import json
from pathlib import Path

from rh_lens.detection import RetrievalScores


def write_head_scores(scores: RetrievalScores, path: str | Path) -> None:
    """Write scores as one JSON object, `{"16-19": [score of each trial, ...], ...}`.

    The key is layer and head. A trial that a head could not see has no place in its list, and a
    head that saw none (no attention in its layer) has no key: the mean over a list is the head's
    retrieval score, for every reader of this format.
    """
    n_layers, n_heads = scores.values.shape[1:]
    lists = {
        f"{layer}-{head}": column[~column.isnan()].tolist()
        for layer in range(n_layers)
        for head in range(n_heads)
        for column in [scores.values[:, layer, head]]
    }
    content = {key: values for key, values in lists.items() if values}
    Path(path).write_text(json.dumps(content) + "\n", encoding="utf-8")
