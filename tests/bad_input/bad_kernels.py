"""Bad values for what detection computes with: attention rows, events, trials and their scores."""

from dataclasses import replace

import pandas as pd
import torch
from bad_calls import entry
from bad_values import (
    MODEL,
    PROMPTS,
    TABLE,
    TENSOR,
    TOKENIZER,
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

from rh_lens import detection as d

IDS = wrong(None, 3, "x", ["a"], [1.5])
TOKENS = TENSOR + bad(torch.zeros(3), torch.zeros(2, 2, dtype=torch.long))
PATTERN = TENSOR + bad(torch.zeros(2, 3), torch.zeros(1, 1, 0, 3), torch.zeros(1, 1, 1, 1).bool())
SOURCE = TENSOR + bad(torch.zeros(2, 3, 4), torch.zeros(2, 3, dtype=torch.long))
SPAN = wrong(3, "x", [1.5, 2.5]) + bad((3, 3), (-1, 2), (1, 2, 3))
SPANS = wrong(3, "x", [3]) + bad([(3, 3)], [(0, 10**6)], piece="span")
TRIALS = entries(empty=False, single=lambda t: t.result.trials[0])
SOME_TRIALS = entries(single=lambda t: t.result.trials[0]) + made(
    lambda t: [t.result.trials[0]] * 2, piece="trials"
)
OTHERS = made(lambda t: t.result.trials[:1], piece="events")
EVENTS = instance()
CONTEXT = wrong("x", 3, [1])
PROMPT = instance()
GIVEN_TOKENIZER = tuple(one for one in TOKENIZER if one.value is not None)
RECALL = number(least=-1, most=1)


def rows(t):
    """Three rows of two layers with three heads, in a prompt of five tokens."""
    return {
        "source": torch.ones(3, 2, 3, dtype=torch.long), "prompt_tokens": torch.arange(5),
        "generated_tokens": torch.arange(3),
    }  # fmt: skip


def events_and_trials(t):
    return {"events": t.result.events, "trials": t.result.trials}


def of_trials(t):
    return {"trials": t.result.trials}


def forced(t):
    return {"model": t.model, "prompt": t.prompt}


def judged(t):
    return {
        "index": 0, "prompt": t.prompt, "generation": t.answer, "sources": t.sources,
        "tokenizer": t.tokenizer,
    }  # fmt: skip


def found(t):
    return {
        "trial": 0, "prompt": t.prompt, "generated_tokens": t.answer.tokens,
        "sources": t.sources, "tokenizer": t.tokenizer,
    }  # fmt: skip


def sequence():
    return d.ConfidenceSequence(3, n_most=1, n_units=None, threshold=0.1, level=0.95)


def unrecorded(t):
    return replace(t.sources, needle_mass=None)


KERNELS = [
    entry(
        d.acceptance,
        lambda t: {"text": "a", "tokens": [1], "needle": t.needles[0], "tokenizer": t.tokenizer},
        text=text(blank=True), tokens=IDS, needle=instance(), tokenizer=GIVEN_TOKENIZER,
        threshold=RECALL,
        answer_tokens=wrong(3, "x", ["a"], [1.5]) + bad([]),
        stop_reason=choice(none=True, nearly="newlin"),
    ),
    entry(
        d.token_recall, lambda t: {"tokens": [1], "answer_tokens": [1]}, tokens=IDS,
        answer_tokens=IDS + bad([]),
    ),
    entry(d.most_attended, pattern=PATTERN),
    entry(d.source_margin, pattern=PATTERN),
    entry(
        d.span_mass, lambda t: {"pattern": t.pattern, "start": 0, "stop": 2}, pattern=PATTERN,
        start=whole(None, huge=False), stop=whole(None, huge=False),
    ),
    entry(d.answer_recorder, forced, model=MODEL, prompt=PROMPT),
    entry(
        d.aligned_share, lambda t: {"source": rows(t)["source"], "answer_start": 1},
        source=SOURCE + bad(torch.zeros(0, 2, 3, dtype=torch.long)),
        answer_start=whole(0, huge=False),
    ),
    entry(
        d.copied_share,
        lambda t: {"source": rows(t)["source"], "answer_start": 1}
        | {"chosen": torch.ones(3, dtype=torch.bool)},
        source=SOURCE + bad(torch.zeros(0, 2, 3, dtype=torch.long)),
        answer_start=whole(0, huge=False),
        chosen=TENSOR + bad(torch.ones(3), torch.ones(2, dtype=torch.bool)),
    ),
    entry(
        d.copy_mask, lambda t: rows(t) | {"answer_span": (1, 3)}, source=SOURCE,
        prompt_tokens=TOKENS + bad(torch.zeros(0, dtype=torch.long)),
        generated_tokens=TOKENS + bad(torch.arange(4)),
        answer_span=SPAN + wrong(None) + bad((3, 6)),
    ),
    entry(
        d.copies_from_spans, lambda t: rows(t) | {"spans": [(1, 3)]}, source=SOURCE,
        prompt_tokens=TOKENS + bad(torch.zeros(0, dtype=torch.long)),
        generated_tokens=TOKENS + bad(torch.arange(4)), spans=SPANS + wrong(None),
    ),
    entry(
        d.ConfidenceSequence.add,
        lambda t: {"self": sequence(), "totals": torch.zeros(3), "counts": torch.ones(3)},
        totals=TENSOR + bad(torch.zeros(2), torch.zeros(3, 1)),
        counts=TENSOR + bad(torch.zeros(2), torch.zeros(3, 1)),
    ),
    entry(d.Until.wanted, lambda t: {"self": d.Until()}, threshold=number()),
    entry(
        d.official_score, lambda t: rows(t) | {"span": (1, 3)}, source=SOURCE,
        prompt_tokens=TOKENS + bad(torch.zeros(0, dtype=torch.long)),
        generated_tokens=TOKENS + bad(torch.arange(4)), span=SPAN,
    ),
    entry(
        d.official_span,
        lambda t: {"prompt_tokens": t.prompt.tokens, "answer": "a", "tokenizer": t.tokenizer},
        prompt_tokens=TOKENS + bad(torch.zeros(0, dtype=torch.long)), answer=text(),
        tokenizer=TOKENIZER,
    ),
    entry(d.exact_mean, values=TENSOR + bad(torch.tensor(1.0), torch.ones(2).bool())),
    entry(d.whole_multiples, values=TENSOR + bad(torch.tensor(1.0), torch.ones(2).bool())),
    entry(
        d.find_copy_events, found, trial=whole(0, huge=False), prompt=PROMPT,
        generated_tokens=TOKENS
        + bad(torch.zeros(999, dtype=torch.long), piece="generated tokens"),
        sources=instance() + made(unrecorded, piece="needle_mass"), tokenizer=TOKENIZER,
        spans=SPANS,
    ),
    entry(
        d.judge_trial, judged, index=whole(0, huge=False), prompt=PROMPT, generation=instance(),
        sources=instance() + made(unrecorded, piece="needle_mass"), tokenizer=GIVEN_TOKENIZER,
        min_recall=RECALL, recorded_scores=wrong(3, "x", [1]),
    ),
    entry(d.teacher_forced_copy, forced, model=MODEL, prompt=PROMPT, context=CONTEXT),
    entry(d.fed_attention, forced, model=MODEL, prompt=PROMPT, context=CONTEXT),
    entry(d.forced_shares, forced, model=MODEL, prompt=PROMPT, context=CONTEXT),
    *(
        entry(function, events_and_trials, events=EVENTS, trials=SOME_TRIALS + OTHERS)
        for function in (
            d.position_scores, d.token_set_scores, d.event_scores, d.activation_frequency,
            d.always_active_heads,
        )
    ),
    *(
        entry(function, of_trials, trials=SOME_TRIALS)
        for function in (
            d.teacher_forced_scores, d.fed_attention_scores, d.attention_mass_scores,
            d.official_scores,
        )
    ),
    entry(
        d.score_trials, lambda t: {"name": "position"} | events_and_trials(t),
        name=tuple(replace(one, piece="score") for one in choice(nearly="positon")),
        events=EVENTS, trials=TRIALS,
    ),
    entry(d.trial_table, trials=TRIALS),
    entry(d.room_for_answers, prompts=tuple(one for one in PROMPTS if one.error is TypeError)),
    entry(d.require_scores, scores=instance()),
    entry(
        d.require_scores_of, lambda t: {"scores": t.scores, "model": t.model},
        scores=instance() + made(lambda t: cut(t.scores), piece="scores"), model=MODEL,
    ),
    entry(
        d.RetrievalScores,
        lambda t: {"values": torch.zeros(1, 2, 3), "name": "a", "trials": (0,)},
        values=TENSOR + bad(torch.zeros(2, 3))
        + bad(torch.zeros(2, 2, 3), torch.full((1, 2, 3), torch.inf), piece="scores"),
        name=text(), trials=wrong(None, 3, "x", ["a"], [1.5]) + bad((), (1, 2), piece="trial"),
        origin=wrong("x", 3, [1]),
    ),
    entry(
        d.CopyEvents, table=tuple(one for one in TABLE),
    ),
    entry(
        d.CopyEvents.join, lambda t: {"tables": [t.result.events.table]},
        tables=wrong(None, 3, "x", [1], [[1]]) + bad([pd.DataFrame({"a": [1]})], piece="table"),
    ),
    entry(
        d.CopyEvents.of_trials, lambda t: {"self": t.result.events},
        trials=wrong(None, 3, "x", ["a"], [1.5]),
    ),
    entry(
        d.AttentionSources.answer_rows,
        lambda t: {"self": t.sources, "prompt_length": len(t.prompt.tokens), "n_steps": 1},
        prompt_length=whole(1), n_steps=whole(0, huge=False) + bad(10**6, piece="positions"),
    ),
    entry(
        d.AttentionSources.visible, lambda t: {"self": t.sources}, span=SPAN + wrong(None),
    ),
    entry(
        d.AttentionSources.by_model_layer, lambda t: {"self": t.sources},
        values=TENSOR + bad(torch.zeros(3), torch.zeros(99, 2)),
    ),
    entry(
        d.MemoryLog, lambda t: {"wanted": [0]},
        wanted=wrong(None, 3, "x", ["a"], [1.5]) + bad([-1]), done=wrong(None, 3, "x", [1]),
    ),
    entry(d.MemoryLog.start, lambda t: {"self": d.MemoryLog([0])}, index=whole(0, huge=False)),
    entry(
        d.MemoryLog.add,
        lambda t: {"self": d.MemoryLog([0]), "trial": t.result.trials[0]}
        | {"events": t.result.events.table},
        trial=instance(), events=wrong(None, 3, "x", [1]),
    ),
]  # fmt: skip


def cut(scores):
    """Scores of one layer fewer."""
    return d.RetrievalScores(scores.values[:, 1:], scores.name, scores.trials)
