"""Bad values for the room `uses`."""

from functools import cache

import numpy as np
import pandas as pd
import torch
from bad_calls import entry
from bad_values import (
    FLAG,
    INSIDE_UNIT,
    MODEL,
    NAN,
    PATH,
    PROMPTS,
    SEED,
    SHARE,
    TABLE,
    TENSOR,
    Bad,
    bad,
    entries,
    instance,
    made,
    number,
    text,
    whole,
    wrong,
)
from bad_values import TOKENIZER as TOKENIZER_ALONE
from transformers import AutoModelForCausalLM, DynamicCache

from rh_lens import uses as u
from rh_lens.demo import DEMO_MODEL_FOLDER
from rh_lens.demo.tasks import example_task
from rh_lens.heads import Head
from rh_lens.prompts import Needle, evaluation_needles

HF_MODEL = wrong(None, "demo", 3, torch.nn.Linear(2, 2), piece="model")
SCORES = TENSOR + bad(torch.zeros(3), torch.zeros(0, 2), torch.zeros(2, 2, 2))
WINDOWS = SCORES + bad(
    torch.full((2, 2), 8.0),
    torch.full((4, 4), 0.0),
    torch.full((4, 4), torch.nan),
    torch.full((4, 4), 1.5),
)
HEAD_SCORES = TENSOR + bad(torch.zeros(3), torch.zeros(4, 7), piece="")
PARTS = wrong(None, 3, "qk", [1], piece="part") + bad([], ["x"], ["queries"], piece="part")
SHARES = wrong(None, 3, "x", [None], ["x"]) + bad([], [-0.1], [1.5], [float("nan")], piece="share")
STOP = instance("\n", none=True)
TOKENIZER = (Bad(3, TypeError), Bad("gpt2", TypeError), Bad(object(), TypeError))
N_NEW = whole(1, none=True, huge=False)
SMALL = whole(1, huge=False)
NEW_FOLDER = (
    *PATH,
    Bad("no/such/folder", OSError, "no/such"),
    Bad("x" * 5000, OSError, "xxx"),
    *made(lambda t: t.folder, error=FileExistsError, piece="folder"),
)


PAIR = pd.DataFrame([{"prompt": "a", "chosen": "b", "rejected": "c"}])
HEADS = wrong(3, object(), [None], piece="heads") + bad([Head(99, 0)], [Head(0, 99)], piece="heads")


def shape(t):
    return u.attention_shape(t.model.original_model)


def groups(t):
    return {"scores": torch.rand(4, 4)}


def asking(t):
    return {"model": t.model, "prompts": t.prompts[:1], "progress": False}


ASKING = {
    "model": HF_MODEL,
    "prompts": PROMPTS,
    "sink": whole(0, huge=False),
    "recent": SMALL,
    "tokenizer": TOKENIZER,
    "stop": STOP,
    "max_new_tokens": N_NEW,
    "chunk": SMALL,
    "progress": FLAG,
}
CITING_HEADS = wrong(None, 3, 2.4, [None], piece="heads") + bad("x", ["L9H0"], ["L0H99"], piece="")
CITING = {
    "model": MODEL,
    "heads": CITING_HEADS + bad([], piece="heads"),
    "weights": wrong("x", 3, [None], ["x"]) + bad([], [1.0, 1.0], [0.0], [-1.0], [NAN]),
    "least_support": SHARE,
    "template": instance("{context} {question}"),
    "max_new_tokens": SMALL,
}


def cases(t):
    return u.citation_cases(t.haystack, t.needles[:1], n_characters=100)


DECODING = {
    "model": MODEL,
    "alpha": number(least=0),
    "hooks": wrong(None, 3, ["L2H4"], [("a",)], [("a", 3)]),
    "max_new_tokens": SMALL + bad(10**6),
    "stop": STOP,
}
BY = wrong(None, 3, ["static"]) + bad("", "x") + bad("entropi", piece="Did you mean")
PROMPT_TOKENS = wrong(None, {"a": 1}, piece="") + bad(torch.zeros(0).long(), piece="")
NO_SUCH_HEADS = wrong(3, 2.4, [None], piece="heads") + bad("x", ["L9H0"], ["L0H99"], piece="")


@cache
def loaded():
    return AutoModelForCausalLM.from_pretrained(DEMO_MODEL_FOLDER)


def hf_model(t):
    return loaded()


def monitored():
    """A wrong answer and a right one."""
    return pd.DataFrame({"wrong": [True, False], "copies": [0.0, 1.0], "needle": "a"})


USES = [
    entry(
        u.answer_features,
        lambda t: {
            "model": t.model,
            "asked": u.ask_document(t.tokenizer, "It rained.", "Why?"),
            "said": torch.ones(2).long(),
            "heads": "L2H4",
        },
        model=HF_MODEL,
        asked=instance(),
        said=TENSOR + bad(torch.zeros(3), torch.zeros(0).long()),
        heads=NO_SUCH_HEADS,
        hooks=DECODING["hooks"],
    ),
    entry(
        u.monitored_answers,
        lambda t: {"model": t.model, "cases": cases(t)[:1], "heads": "L2H4", "progress": False},
        model=HF_MODEL,
        cases=entries(),
        heads=NO_SUCH_HEADS,
        tokenizer=TOKENIZER,
        weakened=wrong(None, 3, "x", [None], ["x"]) + bad([], [NAN]),
        template=instance("{context} {question}"),
        max_new_tokens=SMALL,
        progress=FLAG,
    ),
    entry(
        u.fit_monitor,
        lambda t: {"answers": monitored(), "features": ["copies"]},
        answers=TABLE + bad(monitored().assign(wrong=True), piece="wrong"),
        features=wrong(None, 3, "x", [3]) + bad([], piece="features") + bad(["x"], piece="x"),
        penalty=number(above=0),
    ),
    entry(
        u.monitor_quality,
        lambda t: {
            "monitor": u.fit_monitor(monitored(), features=["copies"]), "answers": monitored(),
        },
        monitor=instance(),
        answers=TABLE + bad(monitored().assign(wrong=True), piece="wrong"),
        level=INSIDE_UNIT,
    ),
    entry(
        u.AnswerMonitor.risk,
        lambda t: {
            "self": u.fit_monitor(monitored(), features=["copies"]), "answers": monitored(),
        },
        answers=TABLE,
    ),
    entry(
        u.AnswerWatch,
        lambda t: {
            "model": t.model,
            "asked": u.ask_document(t.tokenizer, "It rained.", "Why?"),
            "heads": "L2H4",
        },
        model=HF_MODEL,
        asked=instance(),
        heads=NO_SUCH_HEADS,
        least=SHARE,
        patience=SMALL,
        on_warning=wrong(3, "x", [1]),
        stop=FLAG,
    ),
    entry(
        u.contrast_decode,
        lambda t: {"model": t.model, "prompt": t.prompt.tokens, "heads": "L2H4"},
        **DECODING,
        prompt=PROMPT_TOKENS,
        heads=NO_SUCH_HEADS,
        by=BY,
    ),
    entry(
        u.context_aware_decode,
        lambda t: {"model": t.model, "prompt": t.prompt.tokens, "without": "Why?"},
        **DECODING,
        prompt=PROMPT_TOKENS,
        without=PROMPT_TOKENS,
    ),
    entry(
        u.contrast_quality,
        lambda t: {"model": t.model, "cases": cases(t)[:1], "heads": "L2H4", "progress": False},
        model=HF_MODEL,
        tokenizer=TOKENIZER,
        cases=entries(),
        heads=NO_SUCH_HEADS,
        ways=wrong(None, 3, "x", {}, {"greedy": 0}, {"greedy": ["x"]}, {"amplified": [None]})
        + bad({"greedy": []}, {"DeCoRe static": [-1]}, {"amplified": [NAN]})
        + bad({"DeCoRe": [1]}, piece="Did you mean"),
        weakened=wrong(None, 3, "x", [None], ["x"]) + bad([], [NAN]),
        template=instance("{context} {question}"),
        max_new_tokens=SMALL,
        progress=FLAG,
    ),
    entry(
        u.ContrastQuality.summary, lambda t: {"self": u.ContrastQuality(None)}, level=INSIDE_UNIT
    ),
    entry(
        u.HeadContrast,
        lambda t: {"model": hf_model(t), "heads": "L2H4"},
        model=HF_MODEL,
        heads=NO_SUCH_HEADS,
        alpha=number(least=0),
        by=BY,
    ),
    entry(
        u.ContextContrast,
        lambda t: {"model": hf_model(t), "without": torch.ones(3).long()},
        model=HF_MODEL,
        without=TENSOR + bad(torch.zeros(3), torch.zeros(2, 2).long(), torch.zeros(0).long()),
        alpha=number(least=0),
    ),
    entry(
        u.silent_heads,
        lambda t: {"model": hf_model(t), "heads": "L2H4"},
        lazy=True,
        model=HF_MODEL,
        heads=NO_SUCH_HEADS,
    ),
    entry(
        u.contrast,
        lambda t: {"base": torch.ones(3), "other": torch.ones(3), "strength": torch.ones(1)},
        base=TENSOR,
        other=TENSOR,
        strength=TENSOR,
    ),
    entry(
        u.contrast_strength,
        lambda t: {"base": torch.ones(3), "alpha": 1.0, "by": "entropy"},
        base=TENSOR,
        alpha=number(least=0),
        by=BY,
    ),
    entry(
        u.ask_document,
        lambda t: {"tokenizer": t.tokenizer, "document": "It rained.", "question": "Why?"},
        tokenizer=TOKENIZER_ALONE,
        document=text(),
        question=text(),
        template=instance("{context} {question}"),
    ),
    entry(
        u.AskedDocument.characters,
        lambda t: {
            "self": u.ask_document(t.tokenizer, "It rained.", "Why?"), "first": 1, "last": 1,
        },
        first=whole(1, huge=False) + bad(99),
        last=whole(1, huge=False) + bad(99),
    ),
    entry(
        u.citation_cases,
        lambda t: {"haystack": t.haystack, "needles": t.needles, "n_characters": 100},
        haystack=instance("text"),
        needles=entries(),
        n_characters=SMALL + bad(10**9, piece="characters"),
        seed=SEED,
    ),
    entry(
        u.memory_cases,
        lambda t: {"haystack": t.haystack, "facts": evaluation_needles()[:1], "n_characters": 100},
        haystack=instance("text"),
        facts=entries() + made(lambda t: [Needle("a", "b", "b")], piece="distractor"),
        n_characters=SMALL + bad(10**9, piece="characters"),
        seed=SEED,
    ),
    entry(
        u.citation_quality,
        lambda t: {"model": t.model, "cases": cases(t)[:1], "heads": ["L2H2"], "progress": False},
        **CITING | {"model": HF_MODEL},
        tokenizer=TOKENIZER,
        cases=entries(),
        progress=FLAG,
    ),
    entry(
        u.question_cases,
        lambda t: {"items": example_task("qa", 1).items},
        items=wrong(None, 3, "x", [1]) + bad([]) + made(lambda t: example_task("gsm8k", 1).items),
    ),
    entry(
        u.CitationQuality.summary, lambda t: {"self": u.CitationQuality(None)}, level=INSIDE_UNIT
    ),
    entry(
        u.cite,
        lambda t: {
            "model": t.model, "document": "It rained.", "question": "Why?", "heads": ["L2H2"],
        },
        **CITING | {"model": HF_MODEL},
        tokenizer=TOKENIZER,
        document=text(),
        question=text(),
        stop=STOP,
        execution=instance("sdpa"),
    ),
    entry(u.attention_shape, lambda t: {"model": t.model.original_model}, model=HF_MODEL),
    entry(
        u.AttentionShape.cache_bytes,
        lambda t: {"self": shape(t), "windows": torch.full((4, 4), 8.0), "sink": 4, "n_tokens": 9},
        windows=WINDOWS,
        sink=whole(0, huge=False),
        n_tokens=SMALL,
    ),
    entry(
        u.CompressionCurve.summary,
        lambda t: {"self": u.CompressionCurve(None, None, None, 4, 64)},
        level=INSIDE_UNIT,
    ),
    entry(u.cache_bytes, lambda t: {"cache": DynamicCache()}, cache=instance([1])),
    entry(
        u.group_scores,
        lambda t: {"scores": torch.rand(4, 8), "n_kv_heads": 4},
        scores=TENSOR + bad(torch.zeros(3)),
        n_kv_heads=whole(1, huge=False) + bad(3),
    ),
    entry(
        u.windows_by_share, lambda t: groups(t) | {"share": 0.5},
        scores=SCORES, share=SHARE, recent=SMALL,
    ),
    entry(
        u.windows_above, lambda t: groups(t) | {"threshold": 0.5},
        scores=SCORES, threshold=number(), recent=SMALL,
    ),
    entry(
        u.windows_within,
        lambda t: groups(t) | {"n_bytes": 10**6, "shape": shape(t), "n_tokens": 100},
        scores=SCORES,
        n_bytes=whole(0, huge=False) + bad(10),
        shape=instance((4, 4)),
        n_tokens=SMALL,
        sink=whole(0, huge=False),
        recent=SMALL,
    ),
    entry(
        u.windows_in_proportion,
        lambda t: groups(t) | {"n_positions": 1000},
        scores=SCORES + bad(torch.zeros(4, 4), -torch.ones(4, 4)),
        n_positions=whole(256, huge=False),
        recent=SMALL,
    ),
    entry(
        u.headwise_attention,
        lambda t: {"model": t.model, "windows": torch.full((4, 4), 8.0)},
        lazy=True,
        model=HF_MODEL,
        windows=WINDOWS,
        sink=whole(0, huge=False),
    ),
    entry(
        u.compression_curve,
        lambda t: asking(t) | {"scores": torch.rand(4, 8), "shares": [0.5], "n_random": 1},
        **ASKING,
        scores=HEAD_SCORES,
        shares=SHARES,
        n_random=SMALL,
        seed=SEED,
        text=wrong("x", 3, [1, 2], np.zeros(3)) + bad(torch.zeros(3), torch.zeros(2, 2).long()),
        task=wrong("x", 3, [1]) + made(lambda t: example_task("mmlu", 2)),
        done=wrong(None, 3, "x", [1]),
        on_cache=wrong(3, "x", [1]),
    ),
    entry(
        u.CacheLog,
        lambda t: {"folder": t.folder, "key": {}},
        folder=PATH,
        key=wrong(None, 3, "x", [1]),
    ),
    entry(
        u.RankingLog,
        lambda t: {"folder": t.folder, "key": {}},
        folder=PATH,
        key=wrong(None, 3, "x", [1]),
    ),
    entry(
        u.save_ablated,
        lambda t: {"model": t.model, "heads": t.heads, "folder": "silent"},
        model=HF_MODEL,
        heads=HEADS,
        folder=NEW_FOLDER,
        tokenizer=TOKENIZER,
    ),
    entry(
        u.trainable_heads,
        lambda t: {"model": t.model, "heads": t.heads},
        lazy=True,
        model=HF_MODEL,
        heads=HEADS + bad([]),
        parts=PARTS,
        shared=FLAG,
    ),
    entry(
        u.lora_heads,
        lambda t: {"model": t.model.original_model, "heads": t.heads},
        model=HF_MODEL,
        heads=HEADS + bad([]),
        parts=PARTS,
        shared=FLAG,
        rank=SMALL,
        alpha=number(above=0),
        dropout=number(least=0, below=1),
    ),
    entry(
        u.contrastive_pairs,
        lambda t: asking(t) | {"heads": t.heads},
        model=HF_MODEL,
        tokenizer=TOKENIZER,
        prompts=PROMPTS,
        heads=HEADS + bad([]),
        only_better=FLAG,
        max_new_tokens=N_NEW,
        stop=STOP,
        progress=FLAG,
    ),
    entry(
        u.PreferencePairs.write,
        lambda t: {"self": u.PreferencePairs(PAIR, (Head(0, 0),), 1), "path": "pairs.jsonl"},
        path=(*PATH, Bad("no/such/file", OSError, "no/such")),
    ),
    entry(u.context_need, asking, **ASKING),
]  # fmt: skip
