"""Heads in any notation, in everything that takes heads."""

import pytest
import torch
from planted import make_prompt

from rh_lens.evaluation import ablation_curve, needle_recall
from rh_lens.heads import Head
from rh_lens.interventions import (
    control_heads,
    head_outputs,
    knock_out_edges,
    mean_ablation,
    resample_ablation,
    scale_heads,
    uniform_attention,
    zero_ablation,
)

HEADS = [Head(1, 0), Head(1, 2)]
NOTATIONS = {
    "labels": ["L1H0", "1-2"],
    "pairs": [(1, 0), (1, 2)],
    "mask": torch.tensor(
        [[layer == 1 and head in (0, 2) for head in range(4)] for layer in (0, 1)]
    ),
}
PROMPT = make_prompt(list(range(5, 35)), (12, 15))
TOKENS = PROMPT.tokens[None]


@pytest.mark.parametrize("notation", NOTATIONS.values(), ids=NOTATIONS)
def test_operators_do_the_same_to_heads_in_every_notation(llama, notation):
    donor = head_outputs(llama, PROMPT).draw(seed=0)
    operators = {
        "zero": lambda heads: zero_ablation(heads, model=llama),
        "scale": lambda heads: scale_heads(heads, 0.5),
        "mean": lambda heads: mean_ablation(heads, donor),
        "resample": lambda heads: resample_ablation(heads, donor),
        "uniform": lambda heads: uniform_attention(llama, heads),
        "cut": lambda heads: knock_out_edges(llama, heads, [2, 3], keeps_all_keys=True),
    }
    untouched = llama(TOKENS)
    for name, operator in operators.items():
        with llama.hooks(fwd_hooks=operator(HEADS)):
            expected = llama(TOKENS)
        with llama.hooks(fwd_hooks=operator(notation)):
            assert torch.equal(llama(TOKENS), expected), name
        assert not torch.equal(expected, untouched), name


@pytest.mark.parametrize("notation", NOTATIONS.values(), ids=NOTATIONS)
def test_controls_exclude_heads_in_every_notation(notation):
    def draw(heads, exclude=()):
        return control_heads(heads, n_layers=3, n_heads=4, match="layer", exclude=exclude).draws

    assert draw(notation) == draw(HEADS) == ((Head(1, 1), Head(1, 3)),)
    assert draw("L1H1", notation) == draw([Head(1, 1)], HEADS) == ((Head(1, 3),),)


def test_curves_and_recall_take_labels(llama):
    short = {"max_new_tokens": 4, "progress": False}
    few = {"ks": [2], "n_controls": 1, "n_rankings": 0, "record": "L2H1"}
    curve = ablation_curve(llama, [PROMPT], ["L1H0", (1, 2)], **few, **short)
    assert curve.heads.set_index("condition").loc["top-2", "heads"] == "L1H0 L1H2"
    again = needle_recall(llama, [PROMPT], heads=(2, 1), **short)
    for activity in (curve.recall.activity, again.activity):
        assert activity[["layer", "head"]].drop_duplicates().to_numpy().tolist() == [[2, 1]]
