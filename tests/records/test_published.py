import json

import torch

from rh_lens.detection import RetrievalScores
from rh_lens.records import write_head_scores


def test_lists_hold_the_trials_that_a_head_could_see(tmp_path):
    nan = float("nan")
    values = torch.tensor([[[0.5, 0.0], [nan, nan]], [[1.0, 0.25], [0.75, nan]]])
    scores = RetrievalScores(values.double(), "position", (0, 3))
    write_head_scores(scores, tmp_path / "head_scores.json")
    content = json.loads((tmp_path / "head_scores.json").read_text())
    assert content == {"0-0": [0.5, 1.0], "0-1": [0.0, 0.25], "1-0": [0.75]}


def test_the_mean_of_a_list_is_the_retrieval_score(run, tmp_path):
    result = run()
    write_head_scores(result.scores, tmp_path / "head_scores.json")
    content = json.loads((tmp_path / "head_scores.json").read_text())
    assert content["0-1"] == [1.0]
    assert content["1-2"] == [3 / 7]
    assert len(content) == 12
