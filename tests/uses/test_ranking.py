"""Passages by attention: the sums of plain Hugging Face's weights, and measures worked by hand."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from good_things import Things
from tiny_models import TinyModel
from tolerances import weight_rounding

from rh_lens.heads import Head
from rh_lens.prompts import BASE_TEMPLATE, evaluation_needles, synthetic_haystack
from rh_lens.uses import (
    PassageAttention,
    RankingCase,
    RankingLog,
    bm25_scores,
    ndcg,
    needle_cases,
    passage_attention,
    rank_passages,
    ranking_quality,
    read_beir,
    read_ranking,
    recall_at,
)
from rh_lens.uses.ranking_quality import RankedQuery

PASSAGES = ["the quiet violet lantern.", "why the boats left", "the old stone bridge."]
QUERY = "what is it?"


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Things:
    return Things(tmp_path_factory.mktemp("good"))


def mean_rows(tiny: TinyModel, query: str) -> tuple[torch.Tensor, list[str]]:
    """Attention of one plain pass, averaged over the rows after the passages, and the tokens."""
    tokenizer = tiny.bridge.tokenizer
    before, after = BASE_TEMPLATE.split(query)
    text = "\n\n".join(PASSAGES)
    assert before == ""
    front = tokenizer(text).input_ids
    back = tokenizer(after, add_special_tokens=False).input_ids
    _, attention = tiny.reference_pass(torch.tensor(front + back))
    rows = attention[:, :, len(front) :, 1 : len(front)].mean(dim=2)
    return rows, [tokenizer.decode([token]) for token in front[1:]]


@pytest.mark.parametrize("name", ["llama", "gpt2", "deepseek-v3"])
def test_values_are_those_of_one_plain_pass(
    name: str, tiny_model: Callable[[str], TinyModel]
) -> None:
    tiny = tiny_model(name)
    asked, pieces = mean_rows(tiny, QUERY)
    null, _ = mean_rows(tiny, "N/A")
    tolerance = 2 * weight_rounding(tiny.bridge, 60)
    for model in (tiny.bridge, tiny.reference):
        options = {"tokenizer": tiny.bridge.tokenizer}
        found = passage_attention(model, QUERY, PASSAGES, **options)
        plain = passage_attention(model, QUERY, PASSAGES, null_query=None, **options)
        torch.testing.assert_close(found.values, asked - null, rtol=0, atol=tolerance)
        torch.testing.assert_close(plain.values, asked, rtol=0, atol=tolerance)
        texts = ["".join(pieces[slice(*span)]) for span in found.spans]
        assert texts == PASSAGES
    assert tiny.reference.config._attn_implementation == "eager"


def test_what_a_null_query_asks_says_nothing(tiny_model: Callable[[str], TinyModel]) -> None:
    tiny = tiny_model("llama")
    found = passage_attention(tiny.bridge, "N/A", PASSAGES)
    assert found.values.abs().max() <= weight_rounding(tiny.bridge, 60)


def test_scores_leave_out_what_calibration_pushed_far_down() -> None:
    """Nine tokens of 0.1 and one of -5: mean -0.41, deviation 1.6, and -5 is below -3.6."""
    values = torch.zeros(2, 2, 14)
    values[0, 1, :10] = torch.tensor([0.1] * 9 + [-5.0])
    values[0, 1, 10:13] = 0.2
    values[1, 0, 13] = 0.7
    found = PassageAttention(values, ((0, 10), (10, 13), (13, 14)))
    exact = {"rtol": 0, "atol": 1e-6}
    torch.testing.assert_close(
        found.scores("L0H1"), torch.tensor([0.9, 0.6, 0.0]).double(), **exact
    )
    torch.testing.assert_close(found.scores(), torch.tensor([0.9, 0.6, 0.7]).double(), **exact)
    assert torch.equal(found.scores(["L0H1", "L0H1"]), found.scores("L0H1"))
    with pytest.raises(ValueError, match=r"2 layers of 2, one or more; found L2H0"):
        found.scores("L2H0")


def test_measures_by_hand() -> None:
    scores, gains = torch.tensor([0.5, 0.9, 0.1, 0.5]), torch.tensor([2.0, 0.0, 1.0, 0.0])
    best = 2 + 1 / math.log2(3)
    # Places: the second passage, the first (before the last, its equal), the last, the third.
    assert ndcg(scores, gains) == pytest.approx((2 / math.log2(3) + 1 / math.log2(5)) / best)
    assert ndcg(scores, gains, k=3) == pytest.approx(2 / math.log2(3) / best)
    assert ndcg(gains, gains) == 1
    assert [recall_at(scores, gains, k) for k in (1, 2, 4)] == [0, 0.5, 1]
    assert (ndcg(scores, torch.zeros(4)), recall_at(scores, torch.zeros(4), 2)) == (0, 0)


def test_the_bundled_models_retrieval_heads_find_the_passage(things: Things) -> None:
    haystack = synthetic_haystack(n_sentences=60)
    cases = needle_cases(evaluation_needles()[:3], haystack, n_passages=4, n_sentences=1)
    assert all(sum(case.gains) == 1 and len(case.passages) == 4 for case in cases)
    heads = [Head(2, 2), Head(2, 3), Head(2, 4)]
    methods = {"retrieval": heads, "others": [Head(0, 0), Head(3, 1)], "all": None}
    found = ranking_quality(things.model, cases, methods, progress=False)
    table = found.summary().set_index("method")
    assert table.loc["retrieval", "ndcg"] == 1
    assert table.loc["others", "ndcg"] < 1
    assert table.loc["retrieval", "recall_at_1"] == 1
    given = found.scores.query("method == 'retrieval'")
    assert [len(rows) for _, rows in given.groupby("query")] == [4, 4, 4]
    assert (given.loc[given.groupby("query")["score"].idxmax(), "gain"] == 1).all()
    ranked = rank_passages(things.model, cases[0].query, cases[0].passages, heads)
    assert cases[0].gains[ranked["passage"].iloc[0]] == 1
    assert repr(found).startswith("RankingQuality(3 queries; nDCG@10: retrieval 1.00")


def test_a_stopped_ranking_reads_only_what_is_new(
    tiny_model: Callable[[str], TinyModel], tmp_path: Path
) -> None:
    """Killed after its second query it reads the third only, and ends as if never stopped."""
    model, methods = tiny_model("llama").bridge, {"one": [Head(0, 1)], "all": None}
    cases = [
        RankingCase(f"where {word}?", tuple(PASSAGES), (0.0, 1.0, 0.0), word) for word in "abc"
    ]
    log, key = RankingLog(tmp_path, {"heads": ["L0H1"]}), {"heads": ["L0H1"]}

    def stop_at_the_second(name: str, found: RankedQuery) -> None:
        log.add(name, found)
        if len(log.queries) == 2:
            raise KeyboardInterrupt

    options = {"recall_ks": [1], "progress": False}
    with pytest.raises(KeyboardInterrupt):
        ranking_quality(model, cases, methods, on_query=stop_at_the_second, **options)
    again, new = RankingLog(tmp_path, key), []
    done = {"done": again.queries, "on_query": lambda name, found: new.append(name)}
    resumed = ranking_quality(model, cases, methods, **done, **options)
    assert len(new) == 1
    whole = ranking_quality(model, cases, methods, **options)
    pd.testing.assert_frame_equal(resumed.table, whole.table)
    pd.testing.assert_frame_equal(resumed.scores, whole.scores)
    with pytest.raises(ValueError, match=r"Expected queries .* differ in heads\. Name another"):
        RankingLog(tmp_path, {"heads": ["L0H2"]})
    (tmp_path / "ranked.json").write_text('{"key": {}, "queries": {"a": {"all": ["x"]}}}')
    with pytest.raises(ValueError, match="found ValueError: could not convert"):
        RankingLog(tmp_path, {})


def beir(folder: Path) -> Path:
    corpus = [{"_id": f"d{i}", "title": "T", "text": text} for i, text in enumerate(PASSAGES)]
    queries = [{"_id": "q1", "text": "which boats?"}, {"_id": "q2", "text": "unjudged"}]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td0\t0\n")
    return folder


def test_beir_folders_are_read(tmp_path: Path) -> None:
    (case,) = read_beir(beir(tmp_path))
    assert case == RankingCase(
        "which boats?", tuple(f"T {text}" for text in PASSAGES), (0.0, 2.0, 0.0), "q1"
    )


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("corpus.jsonl", "{", r"_id and text in every line .*found '\{' in line 1"),
        ("queries.jsonl", '{"_id": 1}', "found .* in line 1. Check that it is a file of BEIR"),
        ("qrels/test.tsv", "x\ty\tz\nq1\td9\t1\n", r"found 'q1\\td9\\t1' in line 2"),
        ("qrels/test.tsv", "x\ty\tz\nq1\td1\t0\n", "found none. Check the split"),
    ],
)
def test_malformed_files_are_refused(file: str, text: str, message: str, tmp_path: Path) -> None:
    (beir(tmp_path) / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_beir(tmp_path)


def test_lines_and_folders_are_told_apart(tmp_path: Path) -> None:
    assert read_ranking(beir(tmp_path)) == read_beir(tmp_path)
    line = {"query": QUERY, "passages": PASSAGES}
    rows = [line | {"relevant": [0, 2]}, line | {"gains": [0, 2, 1], "name": "graded"}]
    (tmp_path / "lines.jsonl").write_text("\n\n".join(map(json.dumps, rows)))
    first, second = read_ranking(tmp_path / "lines.jsonl")
    assert (first.gains, first.name, first.passages) == ((1, 0, 1), "1", tuple(PASSAGES))
    assert (second.gains, second.name) == ((0, 2, 1), "graded")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"relevant \(or gains\) in every line .*found '\{' in line 2"),
        ('{"query": "a", "passages": ["b"]}', r"in line 2 \(KeyError\)"),
        ('{"query": "a", "passages": ["b"], "relevant": [1]}', "Expected relevant to be"),
        ('{"query": "a", "passages": ["b"], "gains": [1, 0]}', "one for each of 1 passage"),
        ('{"query": 3, "passages": ["b"], "gains": [1]}', "Expected query to be"),
        ("[1]", r"in line 2 "),
    ],
)
def test_malformed_lines_are_refused(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").write_text(f"\n{line}\n")
    with pytest.raises(ValueError, match=message):
        read_ranking(tmp_path / "lines.jsonl")


def test_a_large_corpus_is_searched_by_words(tmp_path: Path) -> None:
    pytest.importorskip("bm25s")
    assert bm25_scores("which boats?", PASSAGES).argmax() == 1
    assert bm25_scores("zebra", PASSAGES).tolist() == [0, 0, 0]
    (case,) = read_beir(beir(tmp_path), n_passages=1)
    assert case.gains == (2.0,)


def test_models_that_are_not_read_in_pieces_are_refused(
    tiny_model: Callable[[str], TinyModel],
) -> None:
    options: dict[str, Any] = {"tokenizer": tiny_model("llama").bridge.tokenizer}
    with pytest.raises(ValueError, match="found a RoPE that changes with the length"):
        passage_attention(tiny_model("dynamic").reference, QUERY, PASSAGES, **options)
    with pytest.raises(ValueError, match=r"found layers cached as .*Pass a TransformerBridge"):
        passage_attention(tiny_model("lfm2").reference, QUERY, PASSAGES, **options)
