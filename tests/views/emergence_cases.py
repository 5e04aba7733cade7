"""Heads over a made-up training."""

import math

import torch

from rh_lens.analysis import Emergence, Moment

NAN = math.nan


def made_emergence(names=("0", "10", "20", "30"), *, tokens_per_step=1e3, n_layers=2):
    """L0H1 comes with the third moment; before it no answer is right. L1H0 is an induction head."""
    moments = []
    for place, name in enumerate(names):
        score, forced, induction = (torch.zeros(n_layers, 2, dtype=torch.float64) for _ in range(3))
        score[0, 1] = 0.2 * place
        forced[0, 1] = 0.1 * place
        induction[-1, 0] = min(1.0, 0.3 * place)
        if place < 2:
            score.fill_(NAN)
        step = float(name) if name.isdecimal() else NAN
        recall = min(1.0, place / 3)
        moments.append(
            Moment(name, step, step * tokens_per_step, score, forced, induction, recall, recall, 6,
                   2 * place if place > 1 else 0)
        )  # fmt: skip
    return Emergence(tuple(moments))
