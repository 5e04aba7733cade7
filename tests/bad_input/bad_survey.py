"""Bad values for the room `circuits`: detectors of heads, their comparison, and probing."""

import torch
from bad_calls import entry
from bad_interventions import HEADS
from bad_values import (
    FLAG,
    INSIDE_UNIT,
    MODEL,
    PROMPTS,
    SEED,
    TENSOR,
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

from rh_lens import circuits as c
from rh_lens.heads import Head

SEQUENCES = wrong(None, 3, "x", {"a": 1}, [None], [3], [object()]) + bad([], ())
MARKED = entries()
AT = choice(nearly="residuals")
UNITS = wrong(None, 3, "x", [1]) + bad([], ["a"])


def texts(t):
    return [prompt.tokens for prompt in t.prompts[:2]]


def scores(t):
    return c.HeadScores(t.scores.values, "position", tuple(map(str, t.scores.trials)))


def features(t):
    n = 12
    values = torch.randn(n, 4, generator=torch.Generator().manual_seed(0))
    units = tuple(f"needle {i // 2}" for i in range(n))
    return c.HeadFeatures(values, (Head(0, 0),) * 4, ("a", "b", "c", "d"), "z", units)


def once(t, name, make):
    """A good thing that takes long, made once."""
    if name not in vars(t):
        setattr(t, name, make(t))
    return getattr(t, name)


def pairs(t):
    return c.make_pairs(t.prompts[:2], "needle").pairs


def overlap(t):
    return c.compare_kinds({"a": scores(t), "b": scores(t)}, n_resamples=1, n_permutations=1)


def effect(t):
    return c.predict_effect(t.model, t.prompts[:1], {"a": scores(t)}, ks=[1], n_random=0)


def looks(rows):
    return rows.pattern[..., 0]


LABELS = [i % 2 == 0 for i in range(12)]
LABELLED = wrong(None, 3, "x", [1, 0], [None]) + bad([], [True], [True] * 12)


def reading(function, **more):
    """An entry of a detector that reads sequences; it has bad values for these."""
    return entry(
        function,
        lambda t: {"model": t.model, "sequences": texts(t)},
        model=MODEL,
        sequences=SEQUENCES,
        **more,
    )


def asking(function, part="names", **more):
    """An entry of a detector that reads marked texts."""

    def good(t):
        make = c.name_prompts if part == "names" else c.fact_prompts
        return {"model": t.model, "prompts": make(t.tokenizer)[:2]}

    return entry(function, good, model=MODEL, prompts=MARKED, **more)


def answering(function, **more):
    """An entry of a function that reads needle prompts."""
    return entry(
        function,
        lambda t: {"model": t.model, "prompts": list(t.prompts[:2])},
        model=MODEL,
        prompts=PROMPTS,
        **more,
    )


ENDS = {"k": whole(1, 2048), "n_positions": whole(1, huge=False), "seed": SEED}
WINDOW = whole(1, huge=False)

SURVEY = [
    entry(
        c.HeadScores,
        lambda t: {"values": torch.ones(1, 2, 2), "name": "a", "units": ("x",)},
        values=TENSOR + bad(torch.ones(2, 2), torch.ones(2, 2, 2)),
        name=text(),
        units=wrong(None, 3, [1]) + bad(()),
    ),
    entry(c.HeadScores.top, lambda t: {"self": scores(t), "k": 1}, k=whole(1, huge=False)),
    entry(
        c.row_means,
        lambda t: {"model": t.model, "sequences": texts(t), "kernels": {"a": looks}},
        model=MODEL,
        sequences=SEQUENCES,
        kernels=wrong(None, 3, "x", [1], {"a": 3}, {3: int}) + bad({}),
    ),
    reading(c.previous_token_heads),
    reading(c.duplicate_token_heads),
    reading(c.induction_heads),
    reading(c.sink_heads),
    reading(c.local_heads, window=WINDOW),
    reading(c.global_heads, window=WINDOW),
    reading(c.positional_heads, max_offset=whole(0, 10_000)),
    reading(
        c.rare_word_heads,
        reference=wrong(3, "x", {"a": 1}, [None]) + bad([]),
        share=INSIDE_UNIT,
    ),
    reading(c.copying_heads, **ENDS),
    reading(c.copy_suppression_heads, **ENDS),
    entry(
        c.prefix_matching_heads,
        lambda t: {"model": t.model},
        model=MODEL,
        n_sequences=whole(1, 10**6),
        seed=SEED,
        exclude=wrong(None, 3, "x", [1.5], ["a"]),
    ),
    entry(
        c.repeated_random_tokens,
        lambda t: {"model": t.model},
        model=MODEL,
        n_tokens=whole(1, 10**6) + bad(5000),
        n_repeats=whole(1, 10**6),
        n_sequences=whole(1, 10**6),
        seed=SEED,
        exclude=wrong(None, 3, "x", [1.5], ["a"]),
    ),
    asking(c.name_mover_heads, k=whole(1, 2048)),
    asking(c.negative_name_mover_heads, k=whole(1, 2048)),
    asking(c.s_inhibition_heads),
    asking(c.subject_heads, "facts"),
    asking(c.relation_heads, "facts"),
    entry(c.fact_prompts, lambda t: {"tokenizer": t.tokenizer}, tokenizer=TOKENIZER),
    entry(
        c.name_prompts,
        lambda t: {"tokenizer": t.tokenizer},
        tokenizer=TOKENIZER,
        n_prompts=whole(1, 10_000),
        seed=SEED,
    ),
    entry(
        c.mark_text,
        lambda t: {"tokenizer": t.tokenizer, "text": "an otter and a boat"},
        tokenizer=TOKENIZER,
        text=text(),
    ),
    entry(
        c.retrieval_heads,
        lambda t: {"result": t.result},
        result=instance(),
        score=choice(nearly="positions") + bad("teacher-forced", piece="teacher-forced"),
    ),
    answering(
        c.context_memory_heads,
        memory_tokens=wrong(3, "x", [1.5], [None]) + bad([], [1], [-1, 2], [10**9, 2]),
    ),
    entry(
        c.truthfulness_heads,
        lambda t: {"features": features(t), "labels": LABELS},
        features=instance(),
        labels=LABELLED,
        n_splits=whole(1, 10**6),
        l2_strength=number(above=0),
        seed=SEED,
    ),
    answering(c.statement_features),
    entry(
        c.describe_heads,
        lambda t: {"model": t.model, "prompts": list(t.prompts[:2]), "only": ["sink"]},
        model=MODEL,
        prompts=tuple(value for value in PROMPTS if value.value is not None),
        detection=instance(none=True),
        only=wrong(3, "sink", [3]) + bad([], ["sinks"], piece=""),
        seed=SEED,
    ),
    entry(
        c.compare_kinds,
        lambda t: {"scores": {"a": scores(t), "b": scores(t)}},
        scores=wrong(None, 3, "x", [1], {"a": 3}) + bad({}),
        k=whole(1, none=True, huge=False),
        p=INSIDE_UNIT,
        n_kv_heads=whole(1, none=True) + bad(3),
        n_resamples=whole(1, 10**6),
        n_permutations=whole(1, 10**6),
        level=INSIDE_UNIT,
        seed=SEED,
    ),
    entry(
        c.HeadOverlap.matrix,
        lambda t: {"self": once(t, "overlap", overlap)},
        statistic=choice(nearly="jacard"),
    ),
    answering(
        c.head_effects,
        heads=tuple(value for value in HEADS if value.value is not None),
        measure=wrong(None, 3, "x"),
        operator=wrong(3, "x"),
        scope=choice(nearly="decoding"),
    ),
    answering(c.query_focused_heads, null_question=text(none=True)),
    answering(c.contrastive_heads, n_others=whole(1, 10_000), temperature=number(above=0)),
    entry(
        c.patching_effects,
        lambda t: {"model": t.model, "pairs": once(t, "pairs", pairs)},
        model=MODEL,
        pairs=entries(),
    ),
    answering(
        c.retrieval_detectors,
        detection=instance(none=True),
        pairs=entries()[1:],
        write=FLAG,
        effects=FLAG,
    ),
    entry(
        c.predict_effect,
        lambda t: {
            "model": t.model,
            "prompts": list(t.prompts[:1]),
            "rankings": {"a": scores(t)},
            "ks": [1],
        },
        model=MODEL,
        prompts=PROMPTS,
        rankings=wrong(None, 3, "x", [1], {"a": 3}, piece="") + bad({}, {"a": []}),
        ks=wrong(None, 3, "x", [1.5]) + bad([], [0], [99], piece="ks"),
        n_random=whole(0, 1000),
        scope=choice(nearly="decoding"),
        seed=SEED,
    ),
    entry(
        c.HeadFeatures,
        lambda t: {
            "values": torch.ones(2, 1),
            "columns": (Head(0, 0),),
            "names": ("a",),
            "at": "z",
            "units": ("x", "y"),
        },
        values=TENSOR + bad(torch.ones(2), torch.ones(3, 1), torch.full((2, 1), torch.nan)),
        columns=wrong(None, 3, ["L0H0"]) + bad((), (Head(0, 0),) * 2),
        names=wrong(None, 3, [1]) + bad((), ("a", "b")),
        at=AT,
        units=wrong(None, 3, [1]) + bad((), ("x",)),
    ),
    entry(c.HeadFeatures.of, lambda t: {"self": features(t), "heads": "L0H0"}, heads=HEADS),
    entry(
        c.head_features,
        lambda t: {"model": t.model, "prompts": list(t.prompts[:1]), "heads": t.heads},
        model=MODEL,
        prompts=wrong(None, 3, "x", {"a": 1}, [None], [3]) + bad([]),
        heads=tuple(value for value in HEADS if value.value is not None),
        at=AT,
    ),
    entry(
        c.probe_heads,
        lambda t: {"features": features(t), "labels": LABELS, "n_shuffles": 1},
        features=instance(),
        labels=LABELLED,
        n_splits=whole(1, 10**6),
        n_shuffles=whole(0, 10**6),
        test_fraction=INSIDE_UNIT,
        l2_strength=number(above=0),
        seed=SEED,
    ),
    answering(
        c.success_features,
        heads=tuple(value for value in HEADS if value.value is not None),
        at=AT,
    ),
    entry(
        c.firing_features,
        lambda t: {"model": t.model, "detection": t.result, "head": "L2H4"},
        model=MODEL,
        detection=instance(),
        head=HEADS + bad(["L2H4", "L2H3"]),
        heads=tuple(value for value in HEADS if value.value is not None),
        at=AT,
    ),
    entry(
        c.presence_features,
        lambda t: {"model": t.model, "pairs": once(t, "pairs", pairs)},
        model=MODEL,
        pairs=entries(),
        heads=tuple(value for value in HEADS if value.value is not None),
        at=AT,
    ),
    entry(
        c.EffectPrediction.areas,
        lambda t: {"self": once(t, "effect", effect), "name": "a"},
        name=choice(),
    ),
    entry(
        c.EffectPrediction.to_dataframe,
        lambda t: {"self": once(t, "effect", effect)},
        level=INSIDE_UNIT,
    ),
]
