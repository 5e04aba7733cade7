"""Bad values for the rooms `interventions`, `views` and `bench`."""

import pandas as pd
import torch
from bad_calls import entry
from bad_tasks import curve as task_curve_of
from bad_values import (
    FLAG,
    MODEL,
    PATH,
    PROMPTS,
    SEED,
    Bad,
    bad,
    choice,
    entries,
    instance,
    made,
    number,
    text,
    whole,
    wrong,
)

from rh_lens import analysis, detection, uses
from rh_lens import bench as b
from rh_lens import interventions as i
from rh_lens import views as v
from rh_lens.heads import Head

# Notations of heads are a matter of their own: these are none in any of them.
HEADS = wrong(3, object(), piece="head") + bad([Head(99, 0)], [Head(0, 99)], piece="head")

OPTIONAL_MODEL = tuple(value for value in MODEL if value.value is not None)
PROMPT = instance(torch.zeros(3, dtype=torch.long)) + made(
    lambda t: list(t.prompts), error=TypeError
)
OUTPUTS = instance(torch.zeros(2, 8, 4)) + made(lambda t: t.outputs.values, error=TypeError)
DIRECTION = wrong(None, "x", 3, [1.0, 2.0]) + bad(
    torch.zeros(()), torch.ones(3, 32), torch.full((32,), torch.nan), torch.zeros(0)
)
LAYERS = wrong(3, "0", [1.5], ["0"]) + bad([], [99], [-1])


def cited(t):
    return uses.cite(t.model, "It rained.", "Why?", heads="L2H2", max_new_tokens=2)


def on_model(t):
    return {"model": t.model, "heads": t.heads}


INTERVENTIONS = [
    entry(i.zero_ablation, on_model, heads=HEADS, model=OPTIONAL_MODEL),
    entry(
        i.scale_heads,
        lambda t: on_model(t) | {"factor": 0.5},
        heads=HEADS,
        factor=number(),
        model=OPTIONAL_MODEL,
    ),
    entry(
        i.mean_ablation,
        lambda t: {"heads": t.heads, "means": t.means},
        heads=HEADS,
        means=OUTPUTS + made(lambda t: t.outputs),
    ),
    entry(
        i.operator_named,
        lambda t: {"name": "mean", "model": t.model, "means": t.means},
        name=choice(nearly="zeros"),
        model=MODEL,
        factor=number(),
        means=OUTPUTS,
    ),
    entry(
        i.resample_ablation,
        lambda t: {"heads": t.heads, "donor": t.outputs},
        heads=HEADS,
        donor=OUTPUTS,
    ),
    entry(
        i.add_direction,
        lambda t: on_model(t) | {"direction": torch.ones(32)},
        heads=HEADS,
        direction=DIRECTION,
        coefficient=number(),
        model=OPTIONAL_MODEL,
    ),
    entry(
        i.project_out,
        lambda t: on_model(t) | {"direction": torch.ones(32)},
        heads=HEADS,
        direction=DIRECTION + bad(torch.zeros(32)),
        model=OPTIONAL_MODEL,
    ),
    entry(
        i.random_ablation,
        lambda t: {"heads": t.heads, "reference": t.outputs, "seed": 0},
        heads=HEADS,
        reference=OUTPUTS + made(lambda t: t.outputs.mean()),
        seed=SEED,
    ),
    entry(i.uniform_attention, on_model, model=MODEL, heads=HEADS),
    entry(
        i.knock_out_edges,
        lambda t: on_model(t) | {"keys": (3, 5)},
        model=MODEL,
        heads=HEADS,
        keys=wrong(None, 3, "3", [1.5], ["a"], [None]) + bad([], (5, 3), (1, 2, 3), [-1], (-3, 2)),
        keeps_all_keys=FLAG[1:],
    ),
    entry(
        i.add_attention_bonus,
        lambda t: on_model(t) | {"keys": (3, 5), "bonus": 1.0},
        model=MODEL,
        heads=HEADS,
        keys=wrong(None, 3, "3", [1.5], ["a"], [None]) + bad([], (5, 3), (1, 2, 3), [-1], (-3, 2)),
        bonus=number(),
        keeps_all_keys=FLAG[1:],
    ),
    entry(
        i.follow_attention,
        lambda t: on_model(t) | {"leader": "L0H0", "bonus": 1.0},
        model=MODEL,
        leader=HEADS + bad([]),
        heads=HEADS,
        bonus=number(),
        span=wrong(3, "x") + bad([1], (5, 3), (-1, 2)),
        keeps_all_keys=FLAG[1:],
    ),
    entry(
        i.head_outputs,
        lambda t: {"model": t.model, "prompt": t.prompt},
        model=MODEL,
        prompt=PROMPT,
        rows=choice(nearly="answers"),
        layers=LAYERS,
    ),
    entry(
        i.mean_head_outputs,
        lambda t: {"model": t.model, "prompts": t.prompts[:1]},
        model=MODEL,
        prompts=PROMPTS,
        rows=choice(nearly="prompts"),
    ),
    entry(
        i.HeadOutputs.take,
        lambda t: {"self": t.outputs},
        rows=wrong(None, 3, "0", [1.5], [None]) + bad([], [99], [-1]),
    ),
    entry(i.HeadOutputs.draw, lambda t: {"self": t.outputs}, seed=SEED),
    entry(
        i.control_heads,
        lambda t: {"heads": [Head(0, 0)], "n_layers": 2, "n_heads": 4, "n_kv_heads": 2},
        heads=HEADS + bad([]),
        n_layers=whole(1, huge=False) + bad(10**9),
        n_heads=whole(1, huge=False) + bad(10**9),
        n_draws=whole(1, 10**6),
        seed=SEED,
        match=choice(none=True, nearly="layers") + bad("depth"),
        n_kv_heads=whole(1, none=True) + bad(3),
        exclude=HEADS,
    ),
    entry(
        i.control_heads,
        lambda t: {"heads": [Head(0, 0)], "n_layers": 4, "n_heads": 8, "match": "norm"}
        | {"traits": t.traits},
        traits=wrong("x", 3, [1], {"a": 1}) + bad(None),
    ),
    entry(i.head_traits, lambda t: {"model": t.model, "prompts": t.prompts[:1]}, model=MODEL,
          prompts=PROMPTS),
    entry(i.HeadTraits.mean, lambda t: {"self": t.traits}, heads=HEADS),
    entry(
        i.draw_rankings,
        lambda t: {"ranking": [Head(0, 0), Head(0, 1)], "ks": [1], "n_layers": 2, "n_heads": 4}
        | {"n_draws": 1, "n_kv_heads": 2},
        ranking=HEADS + bad([], piece="ranking"),
        ks=wrong(None, 3, "1", [1.5], ["1"], [True], {"a": 1}) + bad([], [0], [3], [10**30]),
        n_layers=whole(1, huge=False) + bad(10**9),
        n_heads=whole(1, huge=False) + bad(10**9),
        n_draws=whole(0, 10**6),
        seed=SEED,
        family=choice(none=True, nearly="layers"),
        n_kv_heads=whole(1, none=True) + bad(3),
        absent=wrong(3, object(), piece="head") + bad([Head(0, 0)], piece="head"),
    ),
]  # fmt: skip

RUN = instance(pd.DataFrame({"k": [0]}))
INTERVALS = tuple(one for one in instance() if one.value is not None)
THRESHOLD = number(none=True)
DRAWN = wrong(3, object(), [None], piece="heads") + bad([Head(99, 0)], [Head(0, 99)], piece="head")


def drawn(t):
    return {"result": t.result}


def with_patterns(t):
    return detection.answer_patterns(t.model, t.prompt, t.answer.tokens, t.heads)


VIEWS = [
    *(
        entry(draw, drawn, result=RUN, intervals=INTERVALS, threshold=THRESHOLD)
        for draw in (v.head_cells, v.plot_heat_map, v.explore_heat_map, v.plot_sorted_scores)
    ),
    entry(v.HeadCells.facts, lambda t: {"self": v.head_cells(t.result)},
          head=wrong(None, 3, "x", (0, 0)) + bad(Head(99, 0))),
    entry(v.OfflineView.save, lambda t: {"self": v.view_patterns(with_patterns(t))},
          path=(*PATH, Bad("no/such/page.html", OSError, "no/such"))),
    entry(
        v.plot_answer_map,
        lambda t: {"found": analysis.answer_map(t.scores, t.result.events, t.trials)},
        found=RUN, heads=DRAWN, k=whole(1, huge=False),
    ),
    entry(v.plot_needle_grid, lambda t: {"result": t.recall}, result=RUN,
          condition=text(none=True), metric=choice(none=True, nearly="recal")),
    entry(
        v.plot_score_pair, lambda t: {"results": t.two_results},
        results=wrong(None, 3, "x", [1], {"a": 1, "b": 2}) + bad({}, piece="models"),
        comparison=INTERVALS, threshold=number(),
    ),
    entry(v.plot_similarities, lambda t: {"comparison": t.comparison}, comparison=RUN,
          statistic=choice(nearly="pearsn")),
    entry(
        v.plot_score_profile, lambda t: {"profile": analysis.score_profile(t.scores, t.trials)},
        profile=RUN, heads=DRAWN, k=whole(1, huge=False), value=choice(nearly="scor"),
    ),
    entry(
        v.save_page, lambda t: {"run": t.result, "path": "page.html"},
        run=wrong(None, 3, [1], object()),
        path=(*PATH, Bad("no/such/page.html", OSError, "no/such")),
        ablation=wrong(3, [1], object()), tokenizer=wrong(3, "gpt2", object()),
        trials=wrong(3, "x", [1.5], ["a"]) + bad([999], piece="trial"),
        title=wrong(3, b"x", ["x"]), claims=wrong(3, "x", [1]), survey=wrong(3, "x", [1]),
        doubts=wrong(3, "x", [1]), notes=wrong(None, 3, "x", [1]),
        tasks=wrong(None, 3, "x", [1]), emergence=wrong(3, "x", [1]),
        uses=wrong(None, 3, "x", [1]),
    ),
    *(
        entry(
            function, lambda t: {"emergence": t.emergence}, emergence=instance(),
            heads=tuple(one for one in HEADS if one.value is not None) + bad([]),
            k=whole(1, 6), value=choice(nearly="scores"),
        )
        for function in (v.plot_emergence, v.explore_emergence)
    ),
    entry(v.claims_text, lambda t: {"claims": []}, claims=wrong(None, 3, "x", [1])),
    entry(v.view_patterns, lambda t: {"found": with_patterns(t)}, found=RUN,
          around=whole(0, huge=False)),
    entry(
        v.view_sources, lambda t: {"result": t.result, "trial": 0, "heads": t.heads}, result=RUN,
        trial=whole(0, huge=False) + bad(999), heads=DRAWN, condition=text(none=True),
        around=whole(0, none=True, huge=False),
    ),
    entry(v.cited_text, lambda t: {"answer": cited(t)}, answer=instance(), colour=FLAG),
    entry(
        v.save_cited_page,
        lambda t: {"answer": cited(t), "path": "a.html"},
        answer=instance(),
        path=PATH,
    ),
    entry(v.plot_compression, curve=instance(pd.DataFrame({"a": [1]}))),
    entry(v.plot_choices, lambda t: {"choices": t.choices}, choices=instance()),
    entry(
        v.plot_curve,
        lambda t: {"result": t.curve},
        result=wrong(None, 3, "x", [1], pd.DataFrame({"k": [0]})),
    ),
    entry(
        v.plot_tasks,
        lambda t: {"result": task_curve_of(t)},
        result=wrong(None, 3, "x", [1], pd.DataFrame({"k": [0]})),
    ),
    entry(
        v.summarise,
        lambda t: {"result": t.result},
        result=wrong(None, 3, "x", [1], b"x", pd.DataFrame({"k": [0]}), {"a": 1}) + bad({}),
    ),
]  # fmt: skip

DEVICE = wrong(None, "cpu", 3)
BENCH = [
    entry(
        b.bench_models,
        lambda t: {"device": torch.device("cpu"), "quick": True},
        device=DEVICE,
        quick=FLAG,
        dtype=wrong("float32", 3),
    ),
    entry(
        b.packed_bench_prompts,
        lambda t: {"context_length": 64},
        context_length=whole(1),
        n_turns=whole(1),
    ),
    entry(
        b.bench_prompts,
        lambda t: {"context_length": 64},
        context_length=whole(1) + bad(2, piece="tokens"),
        n_needles=whole(1),
    ),
    entry(
        b.benchmark_conditions,
        lambda t: {"device": torch.device("cpu"), "quick": True},
        lazy=True,
        device=DEVICE,
        quick=FLAG,
        n_repeats=whole(1, 10**6),
        done=entries(empty=False),
    ),
    entry(
        b.benchmark_finding,
        lambda t: {"device": torch.device("cpu"), "quick": True},
        lazy=True,
        device=DEVICE,
        quick=FLAG,
        done=entries(empty=False),
    ),
    entry(
        b.agreement,
        lambda t: {"full": t.result.scores, "found": t.result.scores},
        full=wrong(None, 3, "x", [1]),
        found=wrong(3, "x", [1]),
        threshold=number(),
    ),
    entry(
        b.run_benchmark,
        lambda t: {"device": torch.device("cpu"), "quick": True, "progress": False},
        lazy=True,
        device=DEVICE,
        quick=FLAG,
        n_repeats=whole(1, 10**6),
        progress=FLAG,
        done=entries(empty=False),
        dtype=wrong("float32", 3),
    ),
    entry(
        b.write_timed_rows,
        lambda t: {"path": t.folder / "b.json", "key": {}, "rows": []},
        path=PATH,
        key=wrong(None, 3),
        rows=entries(empty=False),
        conditions=entries(empty=False),
        finding=entries(empty=False),
    ),
    entry(
        b.read_timed_rows,
        lambda t: {"path": t.folder / "none.json", "key": {}},
        path=PATH + made(lambda t: t.score_file, piece="head_scores"),
        key=wrong(None, 3),
    ),
    entry(b.finding_table, rows=entries(empty=False)),
    entry(b.conditions_table, rows=entries(empty=False)),
    entry(b.to_dataframe, rows=entries(empty=False)),
    entry(
        b.measure,
        lambda t: {"call": int, "device": torch.device("cpu")},
        call=wrong(None, 3, "x"),
        device=DEVICE,
    ),
    entry(
        b.make_bench,
        lambda t: {
            "bridge_of": lambda m: m,
            "model": torch.nn.Linear(1, 1),
            "max_new_tokens": 1,
            "eos": None,
        },
        bridge_of=wrong(None, 3, "x"),
        model=wrong(None, 3, "gpt2", object()),
    ),
]
