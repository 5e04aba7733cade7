"""`rh-lens rank`, as a user types it."""

import json

import pandas as pd
import pytest
import torch

from rh_lens import write_head_scores
from rh_lens.cli import main
from rh_lens.detection import RetrievalScores
from rh_lens.uses import RankingQuality
from rh_lens.views import summarise

PASSAGES = [
    "It rained all night. The boats stayed in the harbour.",
    "The Orrin sisters call the cat Baron Turnip. Nobody came.",
    "The school was old. Its roof was green.",
]
QUERY = {"query": "What do the Orrin sisters call the cat?", "passages": PASSAGES}


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """Scores of which four heads of layer 2 are above 0."""
    path = tmp_path_factory.mktemp("rank") / "scores.json"
    values = torch.zeros(1, 4, 8, dtype=torch.double)
    values[0, 2, 2:6] = torch.tensor([0.9, 0.8, 1.0, 0.7])
    write_head_scores(RetrievalScores(values, "position", (0,)), path)
    return str(path)


def lines(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return f"--data={path}"


def test_queries_of_a_file_are_ranked_and_saved(scores, tmp_path, capsys):
    data = lines(tmp_path / "q.jsonl", QUERY | {"relevant": [1], "name": "cat"})
    words = ["rank", scores, data, "--heads", "3", "--controls", "1", "--k", "2", "--json"]
    assert main([*words, "--recall-at", "1", "--quiet", "--out", str(tmp_path / "out")]) == 0
    found = json.loads(capsys.readouterr().out)
    # The same again reads no query a second time.
    assert main([*words, "--recall-at", "1", "--quiet", "--out", str(tmp_path / "out")]) == 0
    again = capsys.readouterr()
    assert json.loads(again.out) == found
    assert "1 queries are read" in again.err
    assert found["heads"] == ["L2H4", "L2H2", "L2H3"]
    best = {row["method"]: (row["ndcg"], row["recall_at_1"]) for row in found["ranking"]}
    assert best["retrieval heads"] == (1, 1)
    assert [name for name in best if name != "BM25"] == [
        "retrieval heads", "all heads", "random heads 1",
    ]  # fmt: skip
    given = pd.read_csv(tmp_path / "out" / "scores.csv").query("method == 'retrieval heads'")
    assert given["score"].idxmax() == given["gain"].idxmax()
    assert pd.read_csv(tmp_path / "out" / "queries.csv")["query"].unique().tolist() == ["cat"]
    assert json.loads((tmp_path / "out" / "run.json").read_text())["command"] == "rank"


@pytest.mark.slow
def test_without_a_file_needles_are_asked_for(scores, tmp_path, capsys):
    few = ["--passages", "4", "--limit", "3", "--controls", "0", "--null-query", "none"]
    assert main(["rank", scores, *few, "--quiet", "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "order by           nDCG@10 [95 %] recall@1 recall@3" in out
    assert "3 queries (intervals are over queries)." in out
    assert "Retrieval heads: L2H4, L2H2, L2H3, L2H5." in out


def test_what_does_not_fit_is_refused_before_a_query_is_read(scores, tmp_path, capsys):
    long = QUERY | {"passages": ["A fox ran. " * 3000], "relevant": [0], "name": "fox"}
    data = lines(tmp_path / "q.jsonl", QUERY | {"relevant": [1]}, long)
    assert main(["rank", scores, data, "--out", str(tmp_path / "out")]) == 2
    assert "in query 'fox' with 1 passages. Lower --passages" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_table_says_ndcg_and_recall():
    rows = [
        {"method": method, "query": query, "ndcg": float(method == "heads"), "recall_at_1": 0.5}
        for method in ("heads", "BM25")
        for query in "ab"
    ]
    text = summarise(RankingQuality(pd.DataFrame(rows), 5, pd.DataFrame()))
    assert "order by     nDCG@5 [95 %] recall@1" in text
    assert "heads    1.00 [0.16, 1.00]     0.50" in text
    assert "BM25     0.00 [0.00, 0.84]     0.50" in text
    assert "2 queries" in text
