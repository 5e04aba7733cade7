"""Bad values for the room `doubts`."""

import torch
from bad_calls import entry
from bad_interventions import HEADS
from bad_survey import once
from bad_values import (
    INSIDE_UNIT,
    MODEL,
    PATH,
    PROMPTS,
    SEED,
    SHARE,
    TOKENIZER,
    bad,
    choice,
    entries,
    instance,
    number,
    text,
    whole,
    wrong,
)

from rh_lens import doubts as d
from rh_lens.evaluation import Estimate

ROWS = entries(single=lambda t: t.rows[0])
SOME_HEADS = HEADS + bad([])
TEXTS = ("name", "claim", "test", "result", "against")
WORD = text()
FOUND = Estimate(0.5, 0.1, 0.9, 4)


def on_prompts(t):
    return {"model": t.model, "prompts": list(t.prompts[:1]), "heads": t.heads}


def of_rows(t):
    return {"rows": t.rows, "heads": t.heads}


def case(t):
    def make(t):
        return d.doubt_case(t.model, t.heads, context_length=128, n_depths=1)

    return once(t, "case", make)


def doubt(t):
    return d.Doubt("a", "It holds.", "a test", "0.5", "supported", "much")


def needles(t):
    return [trial.prompt.needle.name for trial in t.result.accepted]


def failed_rows(t):
    def make(t):
        wrong_said = [torch.tensor([5, 6, 7])] * len(t.prompts)
        return [*t.rows, *d.record_answers(t.model, t.prompts, wrong_said)]

    return once(t, "failed_rows", make)


def null(t):
    return d.shuffled_labels(t.scores, needles(t), n_draws=1)


def traits(t):
    return d.MatchingTraits(torch.rand(4, 8, 3, dtype=torch.float64))


def settled(t):
    folder = t.folder / "settled"
    folder.mkdir(exist_ok=True)
    d.DoubtLog(folder, {}).add(doubt(t))
    return folder


DOUBTS = [
    entry(
        d.Doubt,
        lambda t: {name: doubt(t).row()[name] for name in TEXTS} | {"verdict": "supported"},
        **dict.fromkeys(TEXTS, WORD),
        verdict=choice(nearly="suported"),
    ),
    entry(d.verdict_above, lambda t: {"found": FOUND}, found=instance(), bound=number()),
    entry(
        d.verdict_within,
        lambda t: {"found": FOUND, "margin": 0.1},
        found=instance(),
        margin=number(above=0),
    ),
    entry(
        d.verdict_pvalue,
        lambda t: {"p": 0.5, "smallest": 0.01},
        p=SHARE,
        smallest=SHARE,
        level=INSIDE_UNIT,
    ),
    entry(
        d.all_of,
        lambda t: {"verdicts": ["supported"]},
        verdicts=wrong(None, 3, [1]) + bad([], ["yes"]),
    ),
    entry(
        d.run_doubts,
        lambda t: {"case": case(t), "names": ["shuffled labels"]},
        case=instance(),
        names=wrong(3, [1]) + bad([], ["no doubt"]),
        minutes=number(above=0, none=True),
        done=wrong(None, 3, [1]),
        on_doubt=wrong(3, "x", [1]),
    ),
    entry(
        d.doubt_case,
        lambda t: {"model": t.model, "heads": t.heads, "context_length": 128},
        model=MODEL,
        heads=SOME_HEADS,
        needles=wrong(3, "x", [1]) + bad([]),
        haystack=wrong(3, "synthetic"),
        prose=wrong(3, "x"),
        template=wrong(None, 3, "base"),
        context_length=wrong("128", 1.5) + bad(0, 10, 10**6),
        n_depths=wrong("2") + bad(0),
        seed=SEED,
    ),
    entry(
        d.fed_answers,
        lambda t: {"model": t.model, "prompts": list(t.prompts[:1]), "conditions": {}},
        model=MODEL,
        prompts=PROMPTS,
        conditions=wrong(None, 3, "x", [1], {"a": 3}),
    ),
    entry(
        d.dose_response,
        on_prompts,
        model=MODEL,
        prompts=PROMPTS,
        heads=SOME_HEADS,
        controls=HEADS,
        factors=wrong("x", {"a": 1}) + bad(None, [], [1.0], [2.0, 3.0]),
    ),
    *(
        entry(function, on_prompts, model=MODEL, prompts=PROMPTS, heads=SOME_HEADS)
        for function in (d.joint_effects, d.step_effects)
    ),
    entry(
        d.shapley_values,
        on_prompts,
        model=MODEL,
        prompts=PROMPTS,
        heads=SOME_HEADS,
        n_orders=whole(2, huge=False),
        seed=SEED,
    ),
    entry(d.silence_instead, on_prompts, model=MODEL, prompts=PROMPTS, heads=SOME_HEADS, seed=SEED),
    entry(
        d.operator_agreement,
        lambda t: on_prompts(t) | {"reference": list(t.prompts[1:2])},
        model=MODEL,
        prompts=PROMPTS,
        heads=SOME_HEADS,
        reference=PROMPTS,
        controls=HEADS,
        seed=SEED,
    ),
    entry(
        d.matching_traits,
        lambda t: {"model": t.model, "prompts": list(t.prompts[:1])},
        model=MODEL,
        prompts=PROMPTS,
    ),
    entry(
        d.matched_heads,
        lambda t: {"heads": t.heads, "traits": traits(t)},
        heads=SOME_HEADS,
        traits=instance(),
        exclude=HEADS,
        n_draws=whole(1, huge=False),
        seed=SEED,
    ),
    entry(
        d.needle_stream_lost,
        lambda t: {"model": t.model, "prompts": list(t.prompts[:1]), "layer": 2},
        model=MODEL,
        prompts=PROMPTS,
        layer=whole(0, 3, huge=False),
    ),
    entry(
        d.plain_text_losses,
        lambda t: {"model": t.model, "text": t.haystack, "heads": t.heads, "n_windows": 1},
        model=MODEL,
        text=wrong(None, 3, {"a": 1}),
        heads=SOME_HEADS,
        window=whole(2, huge=False),
        n_windows=whole(1, huge=False),
    ),
    *(
        entry(
            function,
            lambda t: {"rows": t.rows, "n_draws": 1},
            rows=ROWS,
            n_draws=whole(1, huge=False),
            seed=SEED,
        )
        for function in (d.random_spans, d.shuffled_steps)
    ),
    entry(
        d.permuted_answers,
        lambda t: {"rows": case(t).rows[:2], "n_draws": 1},
        rows=ROWS,
        n_draws=whole(1, huge=False),
        seed=SEED,
    ),
    entry(
        d.shuffled_labels,
        lambda t: {"scores": t.scores, "needles": needles(t), "n_draws": 1},
        scores=instance(),
        needles=wrong(None, 3, [1]) + bad([], ["a"]),
        n_draws=whole(1, huge=False),
        seed=SEED,
    ),
    entry(
        d.random_models,
        lambda t: {"model": t.model, "prompts": list(t.prompts[:1]), "n_models": 1},
        model=MODEL,
        prompts=PROMPTS,
        n_models=whole(1, huge=False),
        seed=SEED,
    ),
    entry(
        d.record_answers,
        lambda t: {"model": t.model, "prompts": list(t.prompts[:1])},
        model=MODEL,
        prompts=PROMPTS,
        said=wrong([1], ["x"]) + bad([], [torch.ones(0, dtype=torch.long)]),
    ),
    entry(
        d.record_trials,
        lambda t: {"model": t.model, "trials": t.result.accepted[:1]},
        model=MODEL,
        trials=entries(single=lambda t: t.result.accepted[0]),
    ),
    entry(
        d.with_nulls,
        lambda t: {"result": t.result, "nulls": [null(t)]},
        result=instance(),
        nulls=entries(),
    ),
    entry(
        d.with_other_needles,
        lambda t: {"needles": t.needles},
        needles=entries(single=lambda t: t.needles[0]),
    ),
    entry(
        d.score_choices,
        lambda t: {"rows": t.rows, "recalls": [1.0] * len(t.rows)},
        rows=ROWS,
        recalls=wrong("x", ["a"]) + bad([], [1.0], [0.0] * 4),
        more=wrong(3, {"a": 1}),
        threshold=SHARE,
        min_recall=number(least=-1, most=1),
    ),
    entry(
        d.copied_where,
        lambda t: {"rows": t.rows, "heads": t.heads},
        rows=ROWS,
        heads=HEADS[:2],
        roles=wrong(None, 3, [1]),
    ),
    entry(
        d.said_where,
        lambda t: {"trials": t.result.trials[:1], "tokenizer": t.tokenizer},
        trials=entries(single=lambda t: t.result.trials[0]),
        tokenizer=TOKENIZER,
        roles=wrong(None, 3, [1]),
    ),
    entry(d.answer_spans, lambda t: {"prompt": t.prompt}, prompt=instance()),
    entry(
        d.kind_scores,
        lambda t: {"model": t.model, "heads": t.heads, "kinds": ["plain"], "n_needles": 1},
        model=MODEL,
        heads=HEADS,
        kinds=wrong(3, [1]) + bad([], ["plane"]),
        haystack=wrong(3, "synthetic"),
        context_length=wrong("128", 1.5) + bad(0, 10, 10**6),
        n_needles=whole(1, huge=False),
        n_depths=wrong("2") + bad(0),
        template=wrong(None, 3, "base"),
        seed=SEED,
    ),
    entry(
        d.sliding_window,
        lambda t: {"model": t.model, "heads": t.heads, "width": 8},
        model=MODEL,
        heads=HEADS,
        width=whole(1, huge=False),
        n_sinks=whole(0, huge=False),
    ),
    entry(
        d.window_curve,
        lambda t: on_prompts(t) | {"widths": [8]},
        model=MODEL,
        prompts=PROMPTS,
        heads=SOME_HEADS,
        widths=wrong(None, 3, "x", [1.5]) + bad([], [0]),
    ),
    entry(
        d.copy_gain,
        lambda t: of_rows(t) | {"d_vocab": 2048},
        rows=ROWS,
        heads=SOME_HEADS,
        d_vocab=whole(2, huge=False),
    ),
    entry(
        d.predict_activity,
        lambda t: of_rows(t) | {"tokenizer": t.tokenizer},
        rows=ROWS,
        heads=SOME_HEADS,
        tokenizer=TOKENIZER,
    ),
    entry(
        d.sink_at_failures,
        lambda t: {"rows": failed_rows(t), "heads": t.heads},
        rows=ROWS,
        heads=HEADS + bad([]),
        level=INSIDE_UNIT,
    ),
    entry(
        d.DoubtLog,
        lambda t: {"folder": t.folder, "key": {}},
        folder=PATH,
        key=wrong(None, 3, "x", [1]),
    ),
    entry(d.load_checklist, lambda t: {"folder": settled(t)}, folder=PATH),
]
