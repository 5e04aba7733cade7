"""Folders of heads, read as DuoAttention and kvpress read them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from rh_lens.detection import RetrievalScores
from rh_lens.formats import export_heads, read_attention_pattern, read_head_scores


def one_sample(values: list[list[float]]) -> RetrievalScores:
    return RetrievalScores(torch.tensor([values], dtype=torch.float64), "position", (0,))


def test_the_folder_is_what_the_other_projects_load(tmp_path: Path) -> None:
    scores = one_sample([[0.25, 0.5, 0.0, 0.125], [1.0, 0.1, 0.2, 0.3]])
    folder = export_heads(scores, tmp_path / "pattern", n_kv_heads=2, sink=4, recent=64)
    # kvpress and DuoAttention: loadtxt, tabs, clip; sizes from config.json.
    gates = np.loadtxt(folder / "full_attention_heads.tsv", dtype=float, delimiter="\t")
    config = json.loads((folder / "config.json").read_text())
    assert gates.tolist() == [[0.5, 0.125], [1.0, 0.3]]
    assert (config["sink_size"], config["recent_size"]) == (4, 64)
    sink, recent, read = read_attention_pattern(folder)
    assert (sink, recent, read.tolist()) == (4, 64, gates.tolist())
    assert read_head_scores(folder, n_heads=4).mean()[0].tolist() == [0.5, 0.5, 0.125, 0.125]


def test_nothing_is_written_over_and_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError, match="folder to be one that does not exist yet"):
        export_heads(one_sample([[0.5]]), tmp_path / "there")
    with pytest.raises(ValueError, match="Expected n_kv_heads to divide 2 query heads; found 3"):
        export_heads(one_sample([[0.5, 1.0]]), tmp_path / "new", n_kv_heads=3)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expected JSON in .*config.json.*found Expecting"),
        ("[1]", "sink_size and recent_size .*found None and None"),
        ('{"sink_size": 4}', "found 4 and None"),
        ('{"sink_size": 4, "recent_size": -1}', "found 4 and -1"),
    ],
)
def test_malformed_configurations(text: str, message: str, tmp_path: Path) -> None:
    folder = export_heads(one_sample([[0.5, 1.0]]), tmp_path / "pattern")
    (folder / "config.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_attention_pattern(folder)
