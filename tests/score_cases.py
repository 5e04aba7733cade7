"""Score tables made by hand or at random, with the trials they are of."""

import pandas as pd
import torch
from planted import make_prompt
from torch import Tensor

from rh_lens.detection import CopyEvents, RetrievalScores, Trial


def make_scores(values: list | Tensor, name: str = "position") -> RetrievalScores:
    """Scores of trials 0, 1, ... from nested lists [trial][layer][head]."""
    tensor = torch.as_tensor(values, dtype=torch.float64)
    return RetrievalScores(tensor, name, tuple(range(len(tensor))))


def one_trial(means: list | Tensor) -> RetrievalScores:
    """Scores whose means are these, [layer][head]."""
    return make_scores(torch.as_tensor(means, dtype=torch.float64)[None])


def grid_table(needles=("a", "b"), lengths=(100, 200), depths=(0.0, 1.0), answer=4) -> pd.DataFrame:
    """A table of trials in the order of a grid: length, depth, needle."""
    cells = [(n, le, d) for le in lengths for d in depths for n in needles]
    table = pd.DataFrame(cells, columns=["needle", "context_length", "requested_depth"])
    table.insert(0, "trial", range(len(table)))
    table["answer_span"] = [[10, 10 + answer]] * len(table)
    table["accepted"] = True
    return table


def make_events(places: list[tuple[int, int, int, int, int]]) -> CopyEvents:
    """Events at (trial, step, layer, head, answer offset), other columns made up."""
    table = CopyEvents.join([]).table
    rows = [
        {
            "trial": trial, "step": step, "layer": layer, "head": head, "source": 10 + offset,
            "answer_offset": offset, "token_id": 40 + offset, "token": "x", "weight": 0.5,
            "margin": 0.1, "needle_mass": 0.6, "sink_mass": 0.2,
        }
        for trial, step, layer, head, offset in places
    ]  # fmt: skip
    return CopyEvents(pd.DataFrame(rows, columns=table.columns).astype(table.dtypes))


def random_run(n_trials: int, seed: int) -> tuple[list[Trial], CopyEvents]:
    """Accepted trials with answers of 4 tokens, and copies of 2 x 3 heads at random."""
    generator = torch.Generator().manual_seed(seed)
    copies = (
        torch.rand(n_trials, 4, 2, 3, generator=generator)
        < torch.rand(2, 3, generator=generator) ** 2
    )
    visible = torch.rand(n_trials, 2, 3, generator=generator) < 0.9
    visible[:, 0, 0], copies[:, 0, 0, 0] = True, True
    trials = [
        Trial(
            index=index,
            prompt=make_prompt(list(range(30)), (10, 14)),
            tokens=torch.arange(10, 14),
            text="an otter",
            stop_reason="eos",
            accepted=True,
            reason="accepted",
            recall=1.0,
            recall_measure="rouge1",
            visible=visible[index],
            attention_mass=torch.zeros(2, 3, dtype=torch.float64),
        )
        for index in range(n_trials)
    ]
    places = (copies & visible[:, None]).nonzero().tolist()
    events = [(trial, offset, layer, head, offset) for trial, offset, layer, head in places]
    return trials, make_events(events)
