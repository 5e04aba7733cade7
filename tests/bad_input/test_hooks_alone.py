"""Hooks alone are a condition that acts all along."""

from rh_lens.evaluation import needle_recall, perplexity
from rh_lens.interventions import zero_ablation
from rh_lens.runtime import Condition


def test_hooks_alone_do_what_a_condition_of_them_does(things):
    hooks = zero_ablation(things.heads, model=things.model)
    conditions = {"pairs": hooks, "condition": Condition(hooks)}
    recall = needle_recall(things.model, things.prompts[:1], conditions, progress=False)
    pairs, condition = recall.answers["text"]
    assert pairs == condition
    conditions |= {"plain": Condition()}
    losses = perplexity(things.model, things.haystack, conditions, window=32, n_windows=2)
    assert losses["nll"][0] == losses["nll"][1] != losses["nll"][2]
