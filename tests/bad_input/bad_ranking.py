"""Bad values for ranking passages, in the room `uses`."""

import pandas as pd
import torch
from bad_calls import entry
from bad_uses import HEADS, HF_MODEL, SMALL, TOKENIZER
from bad_values import (
    FLAG,
    INSIDE_UNIT,
    SEED,
    TENSOR,
    bad,
    instance,
    made,
    missing_file,
    text,
    whole,
    wrong,
)

from rh_lens import uses as u

TEXTS = ["It rained.", "The key is under the mat."]
PASSAGES = wrong(None, 3, "x", [1]) + bad([])
NO_TABLES = (pd.DataFrame(), 10, pd.DataFrame())
VECTOR = TENSOR + bad(torch.zeros(2, 2), torch.zeros(5))
NO_HEADS = HEADS + bad([], piece="heads")


def ranking(t):
    return {"model": t.model, "query": "Where is the key?", "passages": TEXTS}


def measured(t):
    return {"scores": torch.rand(3), "gains": torch.ones(3), "k": 1}


def needles(t):
    return {"needles": t.needles, "haystack": t.haystack}


def comparing(t):
    case = u.RankingCase("a", ("b",), (1.0,), "c")
    return {"model": t.model, "cases": [case], "methods": {"all": None}, "progress": False}


SHARED = {
    "model": HF_MODEL,
    "query": text(),
    "passages": PASSAGES + bad([" "], piece="passage"),
}
RANKING = [
    entry(
        u.bm25_scores, lambda t: {"query": "a", "passages": TEXTS},
        query=text(), passages=PASSAGES,
    ),
    entry(
        u.passage_attention, ranking,
        **SHARED,
        tokenizer=TOKENIZER,
        null_query=text(none=True),
        template=instance("{context}{question}"),
    ),
    entry(u.rank_passages, ranking, **SHARED, heads=NO_HEADS),
    entry(
        u.PassageAttention.scores,
        lambda t: {"self": u.PassageAttention(torch.rand(2, 2, 3), ((0, 3),))},
        heads=NO_HEADS,
    ),
    entry(u.ndcg, measured, scores=VECTOR, gains=VECTOR, k=SMALL),
    entry(u.recall_at, measured, scores=VECTOR, gains=VECTOR, k=SMALL),
    entry(
        u.RankingQuality.summary, lambda t: {"self": u.RankingQuality(*NO_TABLES)},
        level=INSIDE_UNIT,
    ),
    entry(
        u.ranking_quality, comparing,
        model=HF_MODEL,
        cases=wrong(None, 3, "x", [1]) + bad([]),
        methods=wrong(None, 3, "x", [1], {}),
        k=SMALL,
        recall_ks=wrong(None, 3, "x", ["1"]) + bad([], [0]),
        bm25=FLAG,
        done=wrong(None, 3, "x", [1]),
        on_query=wrong(3, "x"),
        progress=FLAG,
    ),
    entry(
        u.needle_cases, needles,
        needles=wrong(None, 3, "x", [1]) + made(lambda t: t.needles[:1]),
        haystack=instance(),
        n_passages=whole(2, huge=False) + bad(10**6, piece="haystack"),
        n_sentences=whole(1, huge=False) + bad(10**6, piece="haystack"),
        seed=SEED,
    ),
    entry(
        u.RankingCase,
        lambda t: {"query": "a", "passages": ("b",), "gains": (1.0,), "name": "c"},
        query=text(),
        passages=PASSAGES,
        gains=wrong(None, 3, ("x",)) + bad((), (-1.0,), (1.0, 2.0)),
        name=text(),
    ),
    entry(
        u.read_ranking, lambda t: {"path": t.folder},
        path=missing_file(OSError), split=text(), n_passages=SMALL,
    ),
    entry(
        u.read_beir, lambda t: {"folder": t.folder},
        folder=missing_file(OSError), split=text(), n_passages=SMALL,
    ),
]  # fmt: skip
