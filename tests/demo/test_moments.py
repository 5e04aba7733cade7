"""Heads over the training of a demo model."""

import json
import shutil

import pandas as pd
import pytest
import torch
from transformers import LlamaForCausalLM

from rh_lens.demo import DEMO_MODEL_FOLDER, moments, score_moments, score_weights, snapshots


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A training: at step 0 attention is uniform, at step 500 it is the bundled model's."""
    monkeypatch.setattr(moments, "LENGTHS", (128,))
    monkeypatch.setattr(moments, "DEPTHS", (0.5,))
    monkeypatch.setattr(moments, "N_NEEDLES", 2)
    model = LlamaForCausalLM.from_pretrained(DEMO_MODEL_FOLDER, dtype=torch.float32)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.q_proj.weight *= 0
    at_500 = shutil.copytree(DEMO_MODEL_FOLDER, tmp_path / "snapshots" / "500" / "weights")
    at_0 = shutil.copytree(at_500, tmp_path / "snapshots" / "0")
    model.save_pretrained(at_0)
    lines = [{"step": step, "tokens": 4096 * step} for step in (100, 400, 600)]
    log = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "training_log.jsonl").write_text(log)
    return tmp_path


@pytest.mark.slow
def test_moments_are_scored_once_and_read_back(run, monkeypatch):
    table = score_moments(run)
    assert table["step"].unique().tolist() == [0, 500]
    # The last logged step up to 500 is 400.
    assert table["tokens"].unique().tolist() == [0, 4096 * 400]
    assert len(table) == 2 * 32
    found = snapshots(run)
    assert found.to_dataframe().equals(pd.read_csv(run / "snapshots.csv", dtype={"moment": str}))
    assert [moment.recall for moment in found.moments] == [found.moments[0].recall, 1.0]
    assert found.moments[0].recall < 0.5
    assert {head.label for head in found.top(4)} == {"L2H2", "L2H3", "L2H4", "L2H5"}
    assert found.moments[0].induction.max() < 0.1 < found.moments[1].induction.max()
    # Again: nothing is asked but of a moment with other weights.
    asked = []
    whole = moments.score_moment
    monkeypatch.setattr(
        moments, "score_moment", lambda *a, **k: asked.append(k["name"]) or whole(*a, **k)
    )
    assert score_moments(run).equals(table)
    assert asked == []
    shutil.copy(DEMO_MODEL_FOLDER / "model.safetensors", run / "snapshots" / "0")
    (run / "snapshots" / "500" / "scores.json").write_text("{")
    again = score_moments(run)
    assert asked == ["0", "500"]
    assert again["score"][:32].equals(again["score"][32:].reset_index(drop=True))


def test_a_moment_tells_its_tokens_itself(run):
    shutil.rmtree(run / "snapshots" / "0")
    # As the training names them: in the order of the steps.
    (run / "snapshots" / "500").rename(run / "snapshots" / "000500")
    (run / "snapshots" / "000500" / "moment.json").write_text('{"step": 500, "tokens": 777}')
    table = score_moments(run)
    assert table["tokens"].unique().tolist() == [777]
    assert table["moment"].unique().tolist() == ["500"]
    assert score_moments(run).equals(table)


def test_one_folder_of_weights_is_a_moment(run):
    moment = score_weights(DEMO_MODEL_FOLDER, name="last", step=7)
    assert (moment.recall, moment.exact, moment.step) == (1.0, 1.0, 7.0)


def test_what_there_is_not_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"folders such as .*500'; found none"):
        score_moments(tmp_path)
    with pytest.raises(ValueError, match=r"a model with snapshots\.csv beside its weights"):
        snapshots(DEMO_MODEL_FOLDER)
