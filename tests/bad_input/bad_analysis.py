"""Bad values for the rooms `heads` and `analysis`."""

import numpy as np
import torch
from bad_calls import entry
from bad_values import (
    INSIDE_UNIT,
    SEED,
    TABLE,
    TENSOR,
    bad,
    choice,
    entries,
    instance,
    made,
    number,
    trial_table,
    whole,
    wrong,
)

from rh_lens import analysis as a
from rh_lens.heads import Head

SCORES = instance(torch.zeros(2, 3, 4), np.zeros((2, 3, 4)))
TRIALS = trial_table()
COLUMN = wrong(None, 3, ["needle"]) + bad("colour", piece="colour") + bad("", piece="")
COLUMNS = wrong(None, 3, "needle", [3], [None]) + bad(
    ["colour"], ["needle", "colour"], piece="colour"
)
ARRAY = wrong(None, "x", 3, [[1.0]], torch.zeros(2, 2)) + bad(
    np.zeros(3), np.zeros((0, 4)), np.full((2, 2), np.nan), np.array([["a", "b"]])
)
THRESHOLDS = entries([0.1, "x"], 0.1, [True]) + bad([np.nan], [0.1, np.inf])
CELLS = entries([1.5], 4) + bad([0], [1, -2])


def scored(t):
    return {"scores": t.scores}


def run(t):
    return {"scores": t.scores, "trials": t.trials}


HEADS = [
    entry(Head, lambda t: {"layer": 0, "head": 0}, layer=whole(0), head=whole(0)),
    entry(
        Head.parse,
        label=wrong(None, 3, b"L0H0", ["L0H0"])
        + bad("", "H1L1", "L-1H0", "L1H", "1,2", "x" * 10**6)
        + bad("L" + "9" * 10**6 + "H0", piece="layer"),
    ),
    entry(
        Head.kv_group,
        lambda t: {"self": Head(0, 3), "n_heads": 8, "n_kv_heads": 4},
        n_heads=whole(1, huge=False) + bad(3, 2, piece="divide"),
        n_kv_heads=whole(1, 8),
    ),
]

ANALYSIS = [
    entry(a.measure_sparsity, scored, scores=SCORES, threshold=number()),
    entry(
        a.gini,
        lambda t: {"values": torch.ones(3)},
        values=TENSOR + bad(torch.ones(2, 2), torch.ones(0), torch.ones(2, dtype=torch.bool)),
    ),
    entry(
        a.threshold_sensitivity, scored, scores=SCORES, thresholds=THRESHOLDS, reference=number()
    ),
    entry(a.head_activation, run, scores=SCORES, trials=TRIALS, by=COLUMNS),
    entry(a.context_entropy, run, scores=SCORES, trials=TRIALS, by=COLUMNS),
    entry(a.score_profile, run, scores=SCORES, trials=TRIALS, by=COLUMN),
    entry(
        a.ScoreProfile.pivot,
        lambda t: {"self": a.score_profile(t.scores, t.trials)},
        value=choice(nearly="scores"),
    ),
    entry(a.Emergence.top, lambda t: {"self": t.emergence}, k=whole(1, huge=False)),
    entry(a.Emergence.values, lambda t: {"self": t.emergence}, name=choice(nearly="scores")),
    entry(a.Emergence.appearances, lambda t: {"self": t.emergence}, threshold=number()),
    entry(
        a.emergence_of,
        lambda t: {"table": t.emergence.to_dataframe()},
        table=TABLE
        + made(
            lambda t: t.emergence.to_dataframe().iloc[:0],
            lambda t: t.emergence.to_dataframe().iloc[1:],
            lambda t: t.emergence.to_dataframe().assign(layer="x"),
        ),
    ),
    entry(
        a.answer_map,
        lambda t: run(t) | {"events": t.result.events},
        scores=SCORES,
        events=instance(lambda: 0) + made(lambda t: t.result.events.table, error=TypeError),
        trials=TRIALS,
        n_parts=whole(1, none=True),
    ),
    entry(
        a.AnswerMap.strongest,
        lambda t: {"self": a.answer_map(t.scores, t.result.events, t.trials)},
        k=whole(1, huge=False),
    ),
    entry(
        a.audit_scores,
        scored,
        scores=SCORES,
        thresholds=THRESHOLDS,
    ),
    entry(
        a.duplicate_runs,
        lambda t: {"values": t.scores.values},
        values=TENSOR + bad(torch.zeros(0, 3), torch.zeros(3, 0), torch.tensor(1.0)),
    ),
    entry(
        a.claims_of_scores,
        lambda t: {"result": t.result},
        result=instance(),
        intervals=wrong(3, "x", [1]),
        command=wrong(None, 3, ["x"]) + bad("", " "),
    ),
    entry(
        a.score_intervals,
        run,
        scores=SCORES,
        trials=TRIALS,
        threshold=number(above=0),
        level=INSIDE_UNIT,
    ),
    entry(
        a.repetition,
        lambda t: {"duplicates": t.audit.duplicates, "counted": torch.ones(len(t.trials)) > 0},
        duplicates=instance(),
        counted=wrong(None, 3, [True]) + bad(torch.ones(2) > 0, torch.ones(12)),
    ),
    entry(
        a.compare_scores,
        lambda t: {"results": t.two_results, "n_permutations": 20},
        results=wrong(None, 3, "x", [1, 2], {"a": 1, "b": 2}, {1: None, 2: None})
        + bad({})
        + made(lambda t: {"a": t.scores})
        + made(lambda t: [t.scores, t.scores], error=TypeError)
        + made(lambda t: {"a": t.scores, "b": "head_scores.json"}, error=TypeError),
        k=whole(1, none=True, huge=False),
        p=INSIDE_UNIT,
        n_kv_heads=whole(1, none=True)
        + bad(3, {"a": 4}, {"a": 4, "b": 0})
        + wrong({"a": "4", "b": 4}),
        group_by=choice(none=True, nearly="maxx"),
        n_permutations=whole(1, 10**6),
        level=INSIDE_UNIT,
        seed=SEED,
    ),
    entry(
        a.LineageComparison.pair,
        lambda t: {"self": t.comparison, "a": "a", "b": "b"},
        a=choice(),
        b=choice(),
    ),
    entry(
        a.kv_group_means,
        lambda t: {"means": t.array, "n_kv_heads": 4},
        means=ARRAY[:-2],
        n_kv_heads=whole(1) + bad(3),
        group_by=choice(nearly="Max"),
    ),
    entry(a.sorted_score_distance, lambda t: {"a": t.array, "b": t.array}, a=ARRAY, b=ARRAY),
    entry(
        a.layer_profile,
        lambda t: {"means": t.array, "relative_layer": np.array([0.5])},
        means=ARRAY[:-2],
        relative_layer=wrong(None, "x", 0.5, [0.5])
        + bad(np.array([2.0]), np.array([np.nan]), np.zeros((2, 2))),
    ),
    entry(
        a.similarities,
        lambda t: {"a": t.array[0], "b": t.array[1], "k": 3},
        a=ARRAY,
        b=ARRAY,
        k=whole(1, huge=False),
        p=INSIDE_UNIT,
        orders=wrong("x", 3, [[0, 1]])
        + bad(np.zeros((2, 3), dtype=int), np.full((1, 8), 99), np.full((1, 8), 0.5)),
    ),
    entry(
        a.needle_agreement,
        run,
        scores=SCORES,
        trials=TRIALS,
        by=COLUMN,
        k=whole(1, huge=False),
        p=INSIDE_UNIT,
    ),
    entry(
        a.NeedleAgreement.matrix,
        lambda t: {"self": a.needle_agreement(t.scores, t.trials)},
        statistic=choice(nearly="pearsons"),
    ),
    entry(
        a.split_half,
        run,
        scores=SCORES,
        trials=TRIALS,
        by=COLUMNS + bad([]),
        k=whole(1, huge=False),
        p=INSIDE_UNIT,
        n_splits=whole(1, 10**6),
        seed=SEED,
    ),
    entry(a.variance_components, run, scores=SCORES, trials=TRIALS),
    entry(
        a.VarianceComponents.variance,
        lambda t: {"self": t.components, "n_needles": 2, "n_cells": 2},
        n_needles=whole(1, huge=False),
        n_cells=whole(1, huge=False),
    ),
    entry(
        a.VarianceComponents.half_width,
        lambda t: {"self": t.components, "n_needles": 2, "n_cells": 2},
        n_needles=whole(1, huge=False),
        n_cells=whole(1, huge=False),
        level=INSIDE_UNIT,
    ),
    entry(
        a.VarianceComponents.stability,
        lambda t: {"self": t.components, "n_needles": 2, "n_cells": 2},
        n_needles=whole(1, huge=False),
        n_cells=whole(1, huge=False),
    ),
    entry(
        a.plan_precision,
        lambda t: {"components": t.components, "half_width": 0.3},
        components=instance(),
        half_width=number(above=0),
        heads=wrong(3, [None], [3.5]) + bad([], [Head(99, 0)], [Head(0, 99)]),
        n_cells=CELLS,
        level=INSIDE_UNIT,
    ),
    entry(
        a.plan_stability,
        lambda t: {"components": t.components, "correlation": 0.9},
        components=instance(),
        correlation=INSIDE_UNIT,
        n_cells=CELLS,
    ),
    entry(
        a.Sparsity.share, lambda t: {"self": t.sparsity, "n_heads": 1}, n_heads=whole(0, huge=False)
    ),
]
