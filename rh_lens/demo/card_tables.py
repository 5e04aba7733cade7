"""Tables of a demo model's card, in Markdown, from what was measured."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from rh_lens.analysis import Emergence, similarities
from rh_lens.evaluation import ERROR_TYPES, mean_interval
from rh_lens.heads import Head

THRESHOLD, STRONG = 0.1, 0.5


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def exact_table(exact: Mapping[str, Any], by: str, what: str) -> str:
    """Shares of exact answers, a row a haystack."""
    columns = sorted(next(iter(exact.values()))[by], key=float)
    rows = [
        [haystack, *(f"{shares[by][column]:.3f}" for column in columns)]
        for haystack, shares in exact.items()
    ]
    return markdown([what, *columns], rows)


def varied_table(varied: Mapping[str, Any]) -> str:
    """Shares of exact answers to prompts that share nothing, with their intervals."""
    n, exact = varied["n"], varied["exact"]
    columns = sorted(exact, key=float)
    hits = [[1.0] * exact[column] + [0.0] * (n - exact[column]) for column in columns]
    intervals = [mean_interval(one, range(n)) for one in hits]
    rows = [
        ["exact", *(f"{one.mean:.2f}" for one in intervals)],
        ["95 % interval", *(f"{one.low:.2f}-{one.high:.2f}" for one in intervals)],
    ]
    return markdown(["tokens", *columns], rows)


def task_table(tasks: Mapping[str, Any]) -> str:
    """A row a task: how many items, its score and goal, what it is measured by, and what else."""
    rows = []
    for name, task in tasks.items():
        goal = "" if task["goal"] is None else f"{task['goal']:.2f}"
        more = "; ".join(f"{what} {value:.3f}" for what, value in task["more"].items())
        rows.append([name, str(task["n"]), f"{task['score']:.3f}", goal, task["measure"], more])
    return markdown(["task", "items", "score", "goal", "measured by", "also"], rows)


def missed_goals(tasks: Mapping[str, Any]) -> list[str]:
    """Tasks that are below their goal."""
    return [
        name
        for name, task in tasks.items()
        if task["goal"] is not None and task["score"] < task["goal"]
    ]


def score_table(position: Sequence[Sequence[float]]) -> str:
    """Scores by layer and head; bold from the threshold on, and 0 where it is exactly that."""
    header = ["layer", *(f"H{head}" for head in range(len(position[0])))]
    rows = [[f"L{layer}", *map(_score, scores)] for layer, scores in enumerate(position)]
    return markdown(header, rows)


def _score(score: float) -> str:
    text = "0" if score == 0 else f"{score:.2f}"
    return f"**{text}**" if score >= THRESHOLD else text


def group_table(position: Sequence[Sequence[float]]) -> str:
    """How many heads score how much, and which."""
    heads = {
        Head(layer, head): score
        for layer, scores in enumerate(position)
        for head, score in enumerate(scores)
    }
    groups = {
        f"{STRONG:g} or more": [one for one, score in heads.items() if score >= STRONG],
        f"{THRESHOLD:g} to {STRONG:g}": [
            one for one, score in heads.items() if THRESHOLD <= score < STRONG
        ],
        f"above 0, below {THRESHOLD:g}": [
            one for one, score in heads.items() if 0 < score < THRESHOLD
        ],
        "exactly 0": [one for one, score in heads.items() if score == 0],
    }
    rows = []
    for name, group in groups.items():
        best = sorted(group, key=lambda one: -heads[one])
        named = ", ".join(one.label for one in best if heads[one] >= THRESHOLD)
        rows.append([name, str(len(group)), f"{len(group) / len(heads):.0%}", named])
    return markdown(["score", "heads", "share", "retrieval heads, best first"], rows)


def occasion_table(
    position: Sequence[Sequence[float]], occasions: Mapping[str, Mapping[str, Any]]
) -> str:
    """Scores of the retrieval heads, best first, in each group of prompts, and how often active."""
    header = ["head", "all", *(f"{name} ({group['n']})" for name, group in occasions.items())]
    found = sorted(
        (-score, Head(layer, head))
        for layer, scores in enumerate(position)
        for head, score in enumerate(scores)
        if score >= THRESHOLD
    )
    rows = []
    for negative, head in found:
        cells = [
            f"{group['position'][head.layer][head.head]:.2f}, "
            f"{group['active'][head.layer][head.head]:.0%}"
            for group in occasions.values()
        ]
        rows.append([head.label, f"{-negative:.2f}", *cells])
    return markdown(header, rows)


def silencing_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Answers at each number of silenced heads: exact ones, how others fail, and controls."""
    kinds = [one for one in ERROR_TYPES if any(row["errors"][one] for row in rows)]
    controls = ["control sets", "mean", "lowest", "as harmful"]
    cells, before = [], 0
    for row in rows:
        errors = [f"{row['errors'][one]:.3f}" for one in kinds]
        control = ["0" if row["k"] else "", "", "", ""]
        if row.get("n_draws"):
            shares = [f"{row[name]:.3f}" for name in ("control_mean", "control_min")]
            control = [str(row["n_draws"]), *shares, str(row["n_as_harmful"])]
        last = ", ".join(row["heads"][before:]) or "none"
        cells.append([str(row["k"]), last, f"{row['exact']:.3f}", *errors, *control])
        before = row["k"]
    return markdown(["K", "silenced last", "exact", *kinds, *controls], cells)


def moment_rows(emergence: Emergence) -> str:
    """A row a moment of the training."""
    rows = []
    for moment in emergence.moments:
        across = "" if moment.tokens != moment.tokens else f"{moment.tokens / 1e6:.2f}"
        counts = [str(int((one >= THRESHOLD).sum())) for one in (moment.score, moment.forced)]
        induction = f"{float(moment.induction.nan_to_num().max()):.2f}"
        shares = [f"{moment.recall:.3f}", f"{moment.exact:.3f}"]
        rows.append([moment.name, across, *shares, *counts, induction])
    heads = f"heads at {THRESHOLD:g} or more"
    header = ["step", "million tokens", "recall", "exact", heads, "fed the answer", "induction"]
    return markdown(header, rows)


def seed_table(seeds: Mapping[str, Mapping[str, Any]]) -> str:
    """A row a seed: exact answers, and how many heads of each layer reach the threshold."""
    rows = []
    for seed, found in seeds.items():
        scores = np.asarray(found["scores"], dtype=float)
        by_layer = (scores >= THRESHOLD).sum(axis=1)
        counts = ", ".join(f"L{layer}: {n}" for layer, n in enumerate(by_layer) if n) or "none"
        best = np.argsort(-scores.ravel(), kind="stable")[:5]
        named = ", ".join(
            f"{Head(*divmod(int(place), scores.shape[1])).label} {scores.flat[place]:.2f}"
            for place in best
        )
        zero = f"{(scores == 0).mean():.0%}"
        rows.append([seed, f"{found['exact']:.3f}", counts, zero, named])
    header = ["seed", "exact", f"heads at {THRESHOLD:g} or more", "exactly 0", "best"]
    return markdown(header, rows)


def seed_likeness(seeds: Mapping[str, Mapping[str, Any]]) -> str:
    """How alike each two seeds' scores are: head by head, and sorted, whichever heads have them."""
    rows = []
    for one, other in combinations(seeds, 2):
        a, b = (np.asarray(seeds[name]["scores"], dtype=float).ravel() for name in (one, other))
        k = max(1, int((a >= THRESHOLD).sum()), int((b >= THRESHOLD).sum()))
        found = similarities(a, b, k=k)
        alike = [f"{float(found[name][0]):.2f}" for name in ("pearson", "jaccard")]
        distance = f"{np.abs(np.sort(a) - np.sort(b)).mean():.3f}"
        rows.append([f"{one} and {other}", *alike, distance])
    header = ["seeds", "Pearson", "Jaccard of the retrieval heads", "mean difference when sorted"]
    return markdown(header, rows)
