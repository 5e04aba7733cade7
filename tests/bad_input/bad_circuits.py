"""Bad values for the room `circuits`: pairs, patching, attribution and what feeds heads."""

import torch
from bad_calls import entry
from bad_interventions import HEADS
from bad_values import (
    FLAG,
    MODEL,
    PROMPTS,
    SEED,
    TENSOR,
    bad,
    choice,
    entries,
    instance,
    number,
    whole,
    wrong,
)

from rh_lens import circuits as c
from rh_lens.heads import Head

PAIRS = wrong(None, 3, "x", [None], [object()], torch.zeros(3)) + bad([])
METRIC = wrong(None, 3, ["log-prob"]) + bad("", "logits") + bad("log-probs", piece="Did you mean")
SETS = wrong(None, 3, "L0H0", [Head(0, 0)]) + bad({})
SET_HEADS = wrong({"a": 3}, piece="head") + bad({"a": [Head(99, 0)]}, piece="head")
TEXTS = wrong(3, "x", [3])
PROMPT = instance(torch.zeros(3, dtype=torch.long))
OPTIONAL_HEADS = tuple(value for value in HEADS if value.value is not None)
SCORES = instance(torch.zeros(2, 3))


def on_pair(t):
    return {"model": t.model, "pairs": t.pair, "heads": Head(2, 2)}


def on_prompts(t):
    return {"model": t.model, "prompts": t.prompts[:1]}


def same_patching(**bad):
    return {
        "part": choice(nearly="patterns"),
        "rows": choice(nearly="answers"),
        "into": choice(nearly="clear"),
        "metric": METRIC,
        **bad,
    }


PAIR_MAKING = {
    "corruption": choice(nearly="answers"),
    "candidates": TEXTS,
    "filler": tuple(value for value in instance() if value.value is not None),
    "seed": SEED,
}


def read_write(t):
    return {"self": c.read_write_table(t.scores, t.scores)}


CIRCUITS = [
    entry(c.make_pair, lambda t: {"prompt": t.prompt}, prompt=PROMPT, **PAIR_MAKING),
    entry(c.make_pairs, lambda t: {"prompts": t.prompts[:1]}, prompts=PROMPTS, **PAIR_MAKING),
    entry(c.patch_heads, on_pair, **same_patching(model=MODEL, pairs=PAIRS, heads=OPTIONAL_HEADS)),
    entry(
        c.patch_head_sets,
        lambda t: {"model": t.model, "pairs": t.pair, "sets": {"a": Head(2, 2)}},
        **same_patching(model=MODEL, pairs=PAIRS, sets=SETS + SET_HEADS),
    ),
    entry(
        c.patched_answer,
        lambda t: {"model": t.model, "pair": t.pair, "heads": Head(2, 2), "stop": t.stop},
        model=MODEL,
        pair=instance(torch.zeros(3)),
        heads=HEADS,
        stop=instance(),
        max_new_tokens=whole(1),
        part=choice(nearly="patterns"),
        into=choice(nearly="clear"),
    ),
    entry(
        c.Patching.top,
        lambda t: {"self": t.patching},
        k=whole(1, huge=False),
    ),
    entry(
        c.path_patch,
        lambda t: {
            "model": t.model,
            "pairs": t.pair,
            "senders": Head(0, 6),
            "receivers": Head(2, 2),
        },
        model=MODEL,
        pairs=PAIRS,
        senders=OPTIONAL_HEADS + bad([Head(3, 0)], []),
        receivers=HEADS + bad([], piece="reads the senders"),
        mlps=wrong(None, 3, "0", [1.5]) + bad([99], [-1]),
        logits=FLAG,
        via=choice(nearly="qk"),
        into=choice(nearly="clear"),
        metric=METRIC,
    ),
    entry(
        c.attribution_patch_heads,
        lambda t: {"model": t.model, "pairs": t.pair},
        model=MODEL,
        pairs=PAIRS,
        rows=choice(nearly="answers"),
        into=choice(nearly="clear"),
        metric=METRIC,
        n_steps=whole(1, 1_000),
    ),
    entry(
        c.HeadEstimates.agreement,
        lambda t: {"self": t.estimates, "patching": t.patching},
        patching=instance(torch.zeros(3)),
        k=whole(1, huge=False) + bad(99),
    ),
    entry(c.HeadEstimates.top, lambda t: {"self": t.estimates}, k=whole(1, huge=False)),
    entry(
        c.source_contributions,
        lambda t: {"model": t.model, "prompt": t.prompt, "heads": Head(2, 2)},
        model=MODEL,
        prompt=PROMPT,
        heads=OPTIONAL_HEADS,
        against=choice(nearly="vocabularies"),
        norm=FLAG,
    ),
    entry(
        c.write_scores,
        on_prompts,
        model=MODEL,
        prompts=PROMPTS,
        against=choice(nearly="vocabularies"),
        norm=FLAG,
        only_chosen=FLAG,
    ),
    entry(
        c.attribute_logits,
        on_prompts,
        model=MODEL,
        prompts=PROMPTS,
        against=choice(nearly="vocabularies"),
    ),
    entry(
        c.copying_scores,
        lambda t: {"model": t.model, "n_tokens": 10},
        model=MODEL,
        n_tokens=whole(2, 100_000),
        seed=SEED,
    ),
    entry(
        c.CopyingScores.top,
        lambda t: {"self": c.copying_scores(t.model, n_tokens=5)},
        k=whole(1, huge=False),
    ),
    entry(
        c.LogitAttribution.top,
        lambda t: {"self": c.attribute_logits(t.model, t.prompts[:1])},
        k=whole(1, huge=False),
    ),
    entry(
        c.SourceContributions.top,
        lambda t: {"self": c.source_contributions(t.model, t.prompt, Head(2, 2))},
        k=whole(1, huge=False),
    ),
    entry(c.ReadWrite.kind, read_write, head=wrong(None, 3, "L0H0", (0, 0)) + bad(Head(99, 0))),
    entry(c.ReadWrite.heads, read_write, kind=choice(nearly="reads onli")),
    entry(
        c.answer_log_probability,
        lambda t: {"logits": torch.zeros(2, 5), "answer": torch.tensor([1, 2])},
        logits=TENSOR + bad(torch.zeros(5), piece="logits"),
        answer=TENSOR + bad(torch.zeros(2), torch.tensor([1])),
    ),
    entry(
        c.answer_logit_difference,
        lambda t: (
            {"logits": torch.zeros(2, 5), "answer": torch.tensor([1, 2])}
            | {"foil": torch.tensor([1, 3])}
        ),
        logits=TENSOR + bad(torch.zeros(5), piece="logits"),
        answer=TENSOR + bad(torch.zeros(2), torch.tensor([1])),
        foil=TENSOR + bad(torch.zeros(2), torch.tensor([1])),
    ),
    entry(
        c.read_write_table,
        lambda t: {"read": t.scores, "write": t.scores},
        read=SCORES,
        write=SCORES,
        read_threshold=number(above=0),
        write_threshold=number(above=0),
    ),
    entry(
        c.knock_out_needle,
        lambda t: on_prompts(t) | {"sets": {"a": Head(2, 2)}},
        model=MODEL,
        prompts=PROMPTS,
        sets=SETS + SET_HEADS,
        span=choice(nearly="answers"),
    ),
    entry(
        c.mediated_effect,
        lambda t: on_prompts(t) | {"hooks": t.zeroing, "through": Head(2, 2)},
        model=MODEL,
        prompts=PROMPTS,
        hooks=wrong(None, 3, "x", [3]) + bad([]),
        through=HEADS + bad([]),
    ),
    entry(
        c.composition_scores,
        lambda t: {"model": t.model, "n_draws": 1},
        model=MODEL,
        n_draws=whole(1, 10_000),
        seed=SEED,
    ),
    entry(
        c.Composition.into,
        lambda t: {"self": t.composition, "heads": Head(2, 2), "kind": "K"},
        heads=HEADS + bad([]),
        kind=choice(),
    ),
    entry(
        c.Composition.top, lambda t: {"self": t.composition}, k=whole(1, huge=False), kind=choice()
    ),
    entry(
        c.circuit_graph,
        lambda t: {"paths": [t.path]},
        paths=entries(single=lambda t: t.path),
        threshold=number(least=0),
    ),
    entry(c.to_dot, graph=instance()),
    entry(c.draw_circuit, graph=instance()),
]
