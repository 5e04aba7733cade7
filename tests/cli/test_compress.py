"""`rh-lens compress`, as a user types it."""

import json

import pandas as pd
import pytest
import torch

from rh_lens import write_head_scores
from rh_lens.cli import main
from rh_lens.detection import RetrievalScores
from rh_lens.uses import CompressionCurve
from rh_lens.views import plot_compression, summarise

FEW = ["--lengths", "192", "--depths", "1", "--keep", "0,0.125", "--recent", "24", "--draws", "1"]
FEW += ["--items", "4"]


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """Scores of which four heads of layer 2 are above 0."""
    path = tmp_path_factory.mktemp("scores") / "scores.json"
    values = torch.zeros(1, 4, 8, dtype=torch.double)
    values[0, 2, 2:6] = 0.9
    write_head_scores(RetrievalScores(values, "position", (0,)), path)
    return path


@pytest.mark.slow
def test_the_table_is_printed_and_saved_with_its_picture(scores, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["compress", str(scores), *FEW, "--json", "--quiet", "--out", str(out)]) == 0
    printed = json.loads(capsys.readouterr().out)["curve"]
    saved = pd.read_csv(out / "curve.csv")
    assert [row["strategy"] for row in printed] == saved["strategy"].tolist()
    assert len(pd.read_csv(out / "answers.csv")) == 2 * 3 * 12
    assert (out / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "run.json").read_text())["arguments"]["keep"] == [0.0, 0.125]
    best = saved.set_index(["strategy", "share"])["recall"]
    assert best["retrieval heads", 0.125] > best["first layers", 0.125] + 0.3


def curve() -> CompressionCurve:
    """Two needles; whole, 10 bytes and recall 1; at share 0.5, 5 bytes and recall 1 or 0."""
    where = [
        {"strategy": strategy, "share": share, "n_full": int(8 * share), "draw": 0}
        for strategy in ("retrieval heads", "random groups")
        for share in (0.5, 1.0)
    ]
    answers = [
        place
        | {"trial": trial, "needle": f"n{trial}", "n_bytes": 10 * place["share"]}
        | {"recall": float(place["share"] == 1 or place["strategy"] == "retrieval heads")}
        for place in where
        for trial in range(2)
    ]
    losses = [place | {"nll": 0.0 if place["share"] == 1 else 1.0} for place in where]
    reading = [
        place | {"item": item, "unit": item, "score": place["share"], "metric": "f1", "text": "x"}
        for place in where
        for item in "ab"
    ]
    tables = (pd.DataFrame(answers), pd.DataFrame(losses), pd.DataFrame(reading))
    return CompressionCurve(*tables, sink=4, recent=64)


def test_the_table_says_size_recall_and_perplexity():
    text = summarise(curve())
    assert "retrieval heads   0.50 0.00 MB  50 % 1.00 [0.16, 1.00]       2.72" in text
    assert "random groups     0.50 0.00 MB  50 % 0.00 [0.00, 0.84]       2.72" in text
    assert "2 prompts, 2 needles (intervals are over needles)" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_picture_has_a_line_for_each_way_to_choose():
    figure = plot_compression(curve())
    lines = figure.axes[0].lines
    assert [line.get_label() for line in lines] == ["retrieval heads", "random groups"]
    assert lines[1].get_ydata().tolist() == [0, 1]
    assert lines[0].get_xdata().tolist() == [49, 99]
