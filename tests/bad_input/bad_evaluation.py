"""Bad values for the room `evaluation`."""

import numpy as np
import pandas as pd
import torch
from bad_calls import entry
from bad_values import (
    FLAG,
    INSIDE_UNIT,
    MODEL,
    NAN,
    PROMPTS,
    SEED,
    SHARE,
    TABLE,
    bad,
    choice,
    instance,
    made,
    number,
    text,
    whole,
    wrong,
)

from rh_lens import evaluation as e
from rh_lens.heads import Head

METRIC = choice(nearly="recal")
SHARES = wrong("x", ["a"], object(), {"a": 1}) + bad(
    [], [None], [NAN], [0.5, 2.0, 1.0], [-1.0, 0.0, 0.0], [0.5], [[0.5, 0.5]], [[[0.1, 0.2, 0.3]]]
)
NUMBERS = wrong("x", ["a"], object(), {"a": 1}) + bad([], [None], [NAN], [float("inf")])
NEEDLES = wrong(None, 3, "abc", {"a": 1}) + bad([], ["a"], [["a"], ["b"], ["c"]])
POSSIBLE = whole(1, none=True, huge=False)
HEADS = wrong(3, object(), [None], piece="heads") + bad([Head(99, 0)], [Head(0, 99)], piece="head")
CALLED = wrong(3, "x", [1])
CONDITIONS = wrong(3, "x", [1], {"a": 1}, {"a": "x"}, {1: e.REFUSALS}, piece="condition") + bad(
    {}, piece="condition"
)
CHUNKS = choice(nearly="chunkd")
SCOPE = choice(nearly="decod")
ERRORS = TABLE
RESULT = instance()
KS = wrong(3, "x", [1.5], ["1"], [True], {"a": 1}) + bad([-1], [999])
MATCH = wrong(3, [3]) + bad("layers", ["layer", "depth"], "x" * 10**6)
RULES = tuple(value for value in instance() if value.value is not None)


def three(t):
    return {"values": [0.0, 0.5, 1.0], "needles": ["a", "b", "c"]}


def pairs(t):
    return {"first": [0.0, 0.5, 1.0], "second": [0.5, 0.5, 1.0], "needles": ["a", "b", "c"]}


def asked(t):
    return {"model": t.model, "prompts": t.prompts[:1], "progress": False}


def ranked(t):
    return {"model": t.model, "ranking": t.scores.ranking()}


def judged(t):
    return {"errors": t.errors, "result": t.recall}


RANKING = {
    "model": MODEL,
    "ranking": HEADS + wrong(None, piece="heads") + bad([], ["L0H0", "L0H0"], piece="ranking"),
    "ks": KS,
    "n_controls": whole(0, 10**6),
    "match": MATCH,
    "n_rankings": whole(0, 10**6),
    "family": choice(none=True, nearly="layr"),
    "exclude": HEADS[:3],
    "seed": SEED,
}
ANSWERING = {
    "max_new_tokens": whole(1, none=True),
    "execution": instance(),
    "progress": FLAG,
}
TEXT = (
    wrong(None, 3, [1], [None])
    + wrong(torch.ones(600), piece="token ids")
    + bad([], "", "Too short a text.")
    + bad(torch.ones(2, 300, dtype=torch.long), torch.tensor([9**9] * 600), piece="token ids")
)
LOSSES = {
    "done": wrong(3, "x", [1]) + bad({("other", 0): 1.0}),
    "on_losses": CALLED,
    "model": MODEL,
    "text": TEXT,
    "conditions": CONDITIONS,
    "window": whole(2),
    "n_windows": whole(1, huge=False),
    "execution": instance(),
}


def losses(t):
    return {"model": t.model, "text": t.haystack, "window": 32, "n_windows": 2}


def claimed(t):
    texts = "name statement paper place what command against".split()
    return dict.fromkeys(texts, "a few words") | {"value": 0.5}


def unmeasured(t):
    found = claimed(t) | {"why": "no time"}
    return {name: found[name] for name in found if name not in ("value", "against")}


def chosen(t):
    return {
        "model": t.model,
        "haystack": t.haystack,
        "needles": t.needles,
        "context_lengths": 220,
        "packed": "always",
        "progress": False,
    }


WORDS = text()
ENDS = wrong("x", None, [1], piece="value")

EVALUATION = [
    entry(
        e.check_packing,
        lambda t: {"model": t.model, "alone": t.prompts[:1], "packed": t.prompts[:1]},
        model=MODEL,
        alone=PROMPTS,
        packed=PROMPTS,
        margin=INSIDE_UNIT,
        execution=instance(),
        progress=FLAG,
    ),
    entry(
        e.choose_grid,
        chosen,
        model=MODEL,
        haystack=instance(),
        needles=wrong(None, 3, "x", [3], [None]) + bad([], piece="needles"),
        context_lengths=wrong(None, "96", 96.0, ["96"], piece="") + bad(0, -5, 5000, piece=""),
        depths=whole(1, none=True, huge=False),
        packed=choice(nearly="alway"),
        needles_per_context=whole(1, none=True, huge=False),
        earlier=wrong(3, "x", [1]) + bad(
            {}, {"asked_together": 0, "checks": []}, {"asked_together": 2}, piece="asked_together"
        ),
        detection=wrong(3, "x", [1]),
        execution=instance(),
        progress=FLAG,
    ),
    entry(
        e.Claim, claimed, name=WORDS, statement=WORDS, paper=WORDS, place=WORDS, what=WORDS,
        command=WORDS, against=WORDS, unit=WORDS, value=ENDS, low=ENDS + bad(2.0, piece="value"),
        high=ENDS + bad(0.1, piece="value"), n=whole(0, huge=False), level=INSIDE_UNIT,
        region=wrong(3, "x", [0, 1], ("a", "b")) + bad((1.0, 0.0), (NAN, 1.0), (0.0,)),
        p_for=wrong("x", [1]) + bad(-0.1, 1.5), p_against=wrong("x", [1]) + bad(-0.1, 1.5),
    ),
    entry(
        e.unmeasured_claim, unmeasured, name=WORDS, statement=WORDS, paper=WORDS, place=WORDS,
        what=WORDS, command=WORDS, why=wrong(None, 3, piece="against") + bad("", piece="against"),
    ),
    entry(
        e.claims_of_ablation, lambda t: {"tables": t.tables}, tables=instance(),
        k=whole(1, none=True, huge=False) + bad(31), command=WORDS,
    ),
    entry(
        e.unmeasured_silencing, lambda t: {"why": "no time"}, command=WORDS,
        why=wrong(None, 3, piece="against") + bad("", piece="against"),
    ),
    entry(e.claims_table, lambda t: {"claims": []}, claims=wrong(None, 3, "x", [1])),
    entry(
        e.mean_interval, three, values=SHARES, needles=NEEDLES, level=INSIDE_UNIT,
        n_possible=POSSIBLE,
    ),
    entry(
        e.difference_interval, pairs, first=SHARES, second=SHARES, needles=NEEDLES,
        level=INSIDE_UNIT, n_possible=POSSIBLE, exact=FLAG,
    ),
    entry(
        e.unbounded_interval, lambda t: {"values": [1.0, 2.0], "groups": [0, 1]},
        values=NUMBERS, groups=NEEDLES, level=INSIDE_UNIT,
    ),
    entry(
        e.equivalence_pvalue, lambda t: pairs(t) | {"margin": 0.1}, first=SHARES, second=SHARES,
        needles=NEEDLES, margin=INSIDE_UNIT, n_possible=POSSIBLE,
    ),
    entry(
        e.permutation_pvalue, lambda t: {"observed": 0.5, "draws": [0.1, 0.7]},
        observed=number(), draws=NUMBERS + bad([[0.1], [0.2]]),
    ),
    entry(
        e.sequential_pvalue, lambda t: {"observed": 0.5, "draws": [0.1], "n_as_harmful": 1},
        observed=number(), draws=NUMBERS + bad([[0.1], [0.2]]),
        n_as_harmful=whole(1, huge=False),
    ),
    entry(
        e.step_down_pvalues,
        lambda t: {"observed": np.array([0.5, 0.6]), "draws": np.ones((3, 2))},
        observed=wrong("x", object())
        + bad(None, 3, [0.5], np.ones(3), np.ones((2, 2)), np.full(2, NAN)),
        draws=wrong("x", object())
        + bad(None, 3, [0.5], np.ones((3, 3)), np.ones(2), np.ones((0, 2)), np.full((3, 2), NAN)),
    ),
    entry(
        e.sign_flip_pvalue, lambda t: {"differences": [0.5, -0.5], "needles": ["a", "b"]},
        differences=NUMBERS + bad([[0.1, 0.2]]), needles=NEEDLES, n_flips=whole(1, 10**6),
        seed=SEED,
    ),
    entry(
        e.stop_after, lambda t: {"n_draws": 19}, n_draws=whole(0, 10**6), level=INSIDE_UNIT
    ),
    entry(
        e.first_failing_step, lambda t: {"said": [1], "answer": [1]},
        said=wrong(None, 3, "x", [1.5], ["a"]), answer=wrong(None, 3, "x", [1.5], ["a"]),
    ),
    entry(
        e.needle_recall, asked, model=MODEL, prompts=PROMPTS, conditions=CONDITIONS,
        heads=HEADS, stop=RULES,
        done=wrong(3, "x", [1], {("plain", 0): 1}, {0: 1}) + made(
            lambda t: {("other", 0): next(iter(t.recall.kept.values()))}, piece="done"
        ),
        on_answers=CALLED, **ANSWERING,
    ),
    entry(
        e.ablation_curve, lambda t: ranked(t) | asked(t) | {"ks": [1], "n_controls": 1},
        prompts=PROMPTS, operator=CALLED, scope=SCOPE, record=HEADS, on_plan=CALLED,
        options=bad(3, piece="options"), **RANKING,
    ),
    entry(
        e.answer_plan, lambda t: asked(t) | {"plan": t.curve.plan}, model=MODEL,
        prompts=PROMPTS, plan=instance(), operator=CALLED, scope=SCOPE, record=HEADS,
        done=wrong(3, "x", [1]), on_answers=CALLED, options=bad(3, piece="options"),
    ),
    entry(
        e.default_ks, lambda t: {"n_heads": 32, "n_retrieval": 4},
        n_heads=whole(1), n_retrieval=whole(0) + bad(33),
    ),
    entry(e.plan_ablation, ranked, traits=RULES, **RANKING),
    entry(e.perplexity, losses, level=INSIDE_UNIT, **LOSSES),
    entry(e.window_losses, losses, **LOSSES),
    entry(
        e.curve_perplexity,
        lambda t: {"model": t.model, "text": t.haystack, "curve": t.curve}, model=MODEL,
        text=TEXT, curve=instance(), done=wrong(3, "x", [1]), on_losses=CALLED,
        execution=instance(),
    ),
    entry(
        e.classify_errors, lambda t: {"result": t.recall}, result=RESULT, rules=RULES,
        min_active=SHARE, min_sink=SHARE,
    ),
    entry(e.error_shares, judged, errors=ERRORS, result=RESULT),
    entry(e.error_intervals, judged, errors=ERRORS, result=RESULT, level=INSIDE_UNIT),
    entry(
        e.ErrorRules,
        refusals=wrong(None, 3, "x", [1], (1,)) + bad(("(",)),
        min_repeated=SHARE, min_copied_tokens=whole(1, huge=False), min_copied=SHARE,
        whole_answers=FLAG,
    ),
    entry(
        e.ablation_tables, lambda t: {"curve": t.curve}, curve=instance(),
        fluency=wrong("x", 3, [1]) + bad(pd.DataFrame({"a": [1]})), margin=INSIDE_UNIT,
    ),
    entry(e.RecallResult.summary, lambda t: {"self": t.recall}, level=INSIDE_UNIT),
    entry(
        e.RecallResult.grid, lambda t: {"self": t.recall, "condition": t.recall.conditions[0]},
        condition=text(), metric=METRIC,
    ),
    entry(e.AblationCurve.label, lambda t: {"self": t.curve, "table": t.errors}, table=TABLE),
    entry(e.AblationCurve.by_k, lambda t: {"self": t.curve, "table": t.errors}, table=TABLE),
    entry(
        e.AblationCurve.to_dataframe, lambda t: {"self": t.curve}, metric=METRIC,
        level=INSIDE_UNIT,
    ),
    entry(
        e.AblationCurve.controls_to_dataframe, lambda t: {"self": t.curve}, metric=METRIC,
        level=INSIDE_UNIT, margin=INSIDE_UNIT,
    ),
]  # fmt: skip
