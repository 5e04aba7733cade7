"""Bad values for what users call in the room `detection`."""

from dataclasses import replace

import torch
from bad_calls import entry
from bad_values import (
    FLAG,
    MODEL,
    PROMPTS,
    SEED,
    SHARE,
    TENSOR,
    TOKENIZER,
    bad,
    choice,
    entries,
    instance,
    made,
    number,
    whole,
    wrong,
)

from rh_lens import detection as d
from rh_lens.heads import Head

RECALL = number(least=-1, most=1)
STOP = tuple(one for one in instance() if one.value is not None)
HEADS = wrong(3, object(), [None], piece="head") + bad([Head(99, 0)], [Head(0, 99)], piece="head")


LEVEL = number(above=0, below=1)
UNTIL = wrong(3, ["stable"], {"k": 3}) + bad("stabel", "")


def sequence(t):
    return {"n_heads": 3, "n_most": 2, "n_units": 5, "threshold": 0.1, "level": 0.95}


def asked(t):
    return {"model": t.model, "prompts": t.prompts[:1], "progress": False}


def options(t):
    return {
        "score": "position", "threshold": 0.1, "min_recall": 0.5, "max_new_tokens": 8,
        "stop": t.stop,
    }  # fmt: skip


DETECTION = [
    entry(
        d.detect_retrieval_heads, asked, model=MODEL, prompts=PROMPTS, execution=instance(),
        log=STOP, progress=FLAG, choices=bad(3, piece="choice"), until=UNTIL,
    ),
    entry(
        d.Until, lambda t: {}, goal=choice(nearly="head"), k=whole(1),
        within=number(least=0.01, below=0.5), level=LEVEL, seed=SEED,
    ),
    entry(
        d.ConfidenceSequence, sequence, n_heads=whole(1, huge=False),
        n_most=whole(1, huge=False), n_units=whole(1, none=True, huge=False), threshold=SHARE,
        level=LEVEL,
    ),
    entry(
        d.detect_official, asked, model=MODEL, prompts=PROMPTS, options=bad(3, piece="choice")
    ),
    entry(
        d.detection_options, lambda t: {"model": t.model, "prompts": t.prompts}, model=MODEL,
        prompts=PROMPTS, choices=bad(3, piece="choice"),
    ),
    entry(
        d.DetectionOptions, options, score=choice(nearly="positon"), threshold=SHARE,
        min_recall=RECALL, max_new_tokens=whole(1), stop=STOP,
    ),
    entry(
        d.closed_book_check,
        lambda t: {"model": t.model, "needles": t.needles[:1], "max_new_tokens": 4},
        model=MODEL, needles=entries(single=lambda t: t.needles[0]), template=instance(),
        min_recall=RECALL, max_new_tokens=whole(1), stop=STOP, execution=instance(),
    ),
    entry(
        d.official_result, lambda t: {"detection": t.official.detection, "tokenizer": t.tokenizer},
        detection=instance() + made(lambda t: t.result, piece="official"), tokenizer=TOKENIZER,
    ),
    entry(d.RetrievalScores.top, lambda t: {"self": t.scores}, k=whole(1, huge=False)),
    entry(d.RetrievalScores.heads, lambda t: {"self": t.scores}, threshold=number()),
    entry(d.RetrievalResult.top, lambda t: {"self": t.result}, k=whole(1, huge=False)),
    entry(d.RetrievalResult.heads, lambda t: {"self": t.result}, threshold=number(none=True)),
    entry(
        d.RetrievalResult.score, lambda t: {"self": t.result},
        name=tuple(replace(one, piece="score") for one in choice(nearly="positon"))
    ),
    entry(
        d.SourceRecorder, lambda t: {"model": t.model}, model=MODEL,
        needle_span=wrong(3, "x", [1.5, 2.5], {"a": 1}) + bad((3, 3), (-1, 2), (1, 2, 3)),
        every_row=FLAG, n_cached=whole(0, none=True, huge=False), keeps_all_keys=FLAG,
    ),
    entry(
        d.answer_patterns,
        lambda t: {"model": t.model, "prompt": t.prompt, "answer": t.answer.tokens}
        | {"heads": t.heads},
        model=MODEL, prompt=instance(), answer=TENSOR + bad(torch.zeros(0, dtype=torch.long)),
        heads=HEADS,
    ),
]  # fmt: skip
