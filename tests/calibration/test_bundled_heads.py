"""Random heads of the bundled model called "top": what real heads do is a null too."""

from collections.abc import Callable
from functools import lru_cache
from itertools import combinations

import numpy as np
import pytest
from simulate import Rate

from rh_lens.evaluation import (
    needle_recall,
    permutation_pvalue,
    sequential_pvalue,
    step_down_pvalues,
    stop_after,
)
from rh_lens.heads import Head
from rh_lens.interventions import zero_ablation
from rh_lens.prompts import build_grid, evaluation_needles, synthetic_haystack
from rh_lens.runtime import Condition

LEVEL, LAYER = 0.05, 2
FOURS = list(combinations(range(8), 4))
RETRIEVAL = FOURS.index((2, 3, 4, 5))


@pytest.fixture(scope="module")
def recalls() -> Callable[[int], np.ndarray]:
    """Recall of so many needles with each four of the eight heads of layer 2 silenced."""
    from rh_lens.demo import load_demo_model

    @lru_cache
    def measure(n_needles: int) -> np.ndarray:
        model = load_demo_model()
        prompts = build_grid(
            model.tokenizer,
            synthetic_haystack(),
            evaluation_needles()[:n_needles],
            context_lengths=[128],
            depths=[0.5],
        )
        conditions = {
            str(four): Condition(zero_ablation([Head(LAYER, h) for h in four]), "decode")
            for four in FOURS
        }
        answers = needle_recall(model, prompts, conditions, progress=False).answers
        table = answers.pivot(index="condition", columns="trial", values="recall")
        return table.loc[list(conditions)].to_numpy()

    return measure


@pytest.mark.parametrize("n_draws", [19, 69])
def test_random_heads_called_top_are_rarely_significant(recalls, n_draws, repeats, record):
    """With twelve needles drawn anew in each case, as other needles would have been as likely."""
    table = recalls(repeats(quick=4, full=12))
    rng, n_cases = np.random.default_rng(n_draws), repeats(quick=500, full=10_000)
    fixed, stopped = 0, 0
    for _ in range(n_cases):
        sets = rng.permutation(len(table))[: n_draws + 1]
        means = table[:, rng.integers(0, table.shape[1], 12)].mean(1)[sets]
        top, draws = float(means[0]), means[1:]
        fixed += permutation_pvalue(top, draws) <= LEVEL
        stopped += sequential_pvalue(top, draws, n_as_harmful=stop_after(n_draws)) <= LEVEL
    case = "four random heads of the bundled model"
    for method, hits in (("permutation", fixed), ("sequential", stopped)):
        rate = Rate(f"{method}, {n_draws} draws", case, 12, int(hits), n_cases, "level")
        assert record(rate).at_most(LEVEL)


def test_random_curves_are_rarely_significant_anywhere(recalls, repeats, record):
    """Two numbers of heads: four, and the four others, whose recall is that of another set."""
    table = recalls(repeats(quick=4, full=12))
    rng, n_cases, hits = np.random.default_rng(0), repeats(quick=500, full=10_000), 0
    for _ in range(n_cases):
        means = table[:, rng.integers(0, table.shape[1], 12)].mean(1)
        sets = rng.permutation(len(table))[:20]
        curves = np.stack([means[sets], means[len(table) - 1 - sets]], axis=1)
        hits += step_down_pvalues(curves[0], curves[1:]).min() <= LEVEL
    case = "four random heads of the bundled model"
    assert record(Rate("step-down, any", case, 12, int(hits), n_cases, "level")).at_most(LEVEL)


def test_the_retrieval_heads_are_the_most_harmful_of_all_seventy_sets(recalls, repeats):
    means = recalls(repeats(quick=4, full=12)).mean(1)
    others = np.delete(means, RETRIEVAL)
    assert permutation_pvalue(float(means[RETRIEVAL]), others) == 1 / 70
    # Sets that share three heads with them do harm too: the family holds the top.
    assert 0.1 < (others < 0.9).mean() < 0.4
