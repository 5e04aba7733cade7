"""A score file made up to have the counts of a published one (DEFINITIONS: llama-2-7b-80k)."""

import json
from pathlib import Path

import numpy as np

N_LAYERS = N_HEADS = 32
N_SAMPLES, N_DISTINCT = 586, 580
N_ABOVE, N_BETWEEN, N_ZERO, N_ALWAYS_ACTIVE = 33, 272, 719, 12
TOP = {
    (16, 19): 0.9426,
    (11, 15): 0.9201,
    (8, 26): 0.7996,
    (6, 9): 0.6178,
    (7, 12): 0.6135,
    (17, 22): 0.5574,
    (11, 2): 0.4586,
}


def reference_values(seed: int = 0) -> np.ndarray:
    """Random scores [sample, layer, head] with these numbers of heads, samples and top means.

    The first twelve heads are above 0 on every sample, the others with a score not.
    """
    rng = np.random.default_rng(seed)
    places = [(la, he) for la in range(N_LAYERS) for he in range(N_HEADS) if (la, he) not in TOP]
    rng.shuffle(places)
    heads = [*TOP, *(tuple(place) for place in places)][: N_ABOVE + N_BETWEEN]
    rest = np.linspace(0.45, 0.101, N_ABOVE - len(TOP))
    means = [*TOP.values(), *rest, *np.linspace(0.0999, 0.0001, N_BETWEEN)]
    values = np.zeros((N_SAMPLES, N_LAYERS, N_HEADS))
    for number, ((layer, head), mean) in enumerate(zip(heads, means, strict=True)):
        column = rng.uniform(0.5, 1.5, N_SAMPLES)
        if number >= N_ALWAYS_ACTIVE:
            column *= rng.random(N_SAMPLES) < 0.5
            column[0] = 0
        column[N_DISTINCT:] = column[: N_SAMPLES - N_DISTINCT]
        values[:, layer, head] = column * (mean / column.mean())
    return values


def write_lists(values: np.ndarray, path: Path) -> Path:
    """The values as `{"16-19": [score of each sample, ...], ...}`, written without the library."""
    _, n_layers, n_heads = values.shape
    content = {
        f"{la}-{he}": values[:, la, he].tolist() for la in range(n_layers) for he in range(n_heads)
    }
    path.write_text(json.dumps(content))
    return path
