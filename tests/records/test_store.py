import json

import pandas as pd
import pytest

from rh_lens.detection import EVENT_COLUMNS
from rh_lens.records import RunFolder


def read_trials(folder):
    lines = (folder / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def finished(run, tmp_path):
    folder = tmp_path / "run"
    with RunFolder(folder, {"command": "detect"}, save_prompts=True) as store:
        result = run(on_trial=store.add)
        store.finish(result)
    return folder, result


def test_a_finished_run_has_its_five_files(finished):
    folder, _ = finished
    assert sorted(path.name for path in folder.iterdir()) == [
        "events.parquet",
        "head_scores.json",
        "run.json",
        "scores.csv",
        "trials.jsonl",
    ]
    assert json.loads((folder / "run.json").read_text()) == {
        "status": "finished",
        "command": "detect",
    }


def test_a_trials_line_tells_needle_place_answer_and_verdict(finished, otter_prompt):
    accepted, rejected = read_trials(finished[0])
    assert accepted["trial"] == 0
    assert accepted["question"] == "What is the secret word?"
    assert accepted["answer"] == accepted["generated_text"] == "a violet otter"
    assert accepted["context_length"] == 150
    assert accepted["requested_depth"] == 0.5
    assert accepted["depth"] == otter_prompt.depth
    assert accepted["answer_span"] == list(otter_prompt.answer_span)
    assert accepted["generated_tokens"] == otter_prompt.answer_tokens.tolist()
    assert accepted["prompt_tokens"] == otter_prompt.tokens.tolist()
    assert accepted["prompt_sha256"] == otter_prompt.sha256
    assert (accepted["accepted"], accepted["recall"]) == (True, 1.0)
    assert (rejected["accepted"], rejected["generated_text"]) == (False, "a grey boat")
    assert "a grey boat" in rejected["reason"]


def test_prompts_are_left_out_unless_asked_for(run, tmp_path):
    with RunFolder(tmp_path / "run", {}) as store:
        run(on_trial=store.add)
    assert "prompt_tokens" not in read_trials(tmp_path / "run")[0]


def test_events_on_disk_are_the_results(finished):
    folder, result = finished
    table = pd.read_parquet(folder / "events.parquet")
    assert tuple(table.columns) == EVENT_COLUMNS
    assert len(table) == 10
    pd.testing.assert_frame_equal(table, result.events.table)


def test_scores_on_disk_are_the_results(finished):
    folder, result = finished
    table = pd.read_csv(folder / "scores.csv")
    assert table["label"].tolist()[:2] == ["L0H1", "L1H2"]
    assert table["score"].tolist()[:3] == [1.0, 3 / 7, 0.0]
    assert len(table) == result.scores.mean().numel() == 12


def test_a_stopped_run_keeps_its_trials_and_events(run, tmp_path):
    folder = tmp_path / "run"

    def stop_after_the_first(trial, events):
        store.add(trial, events)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), RunFolder(folder, {}) as store:
        run(on_trial=stop_after_the_first)
    assert json.loads((folder / "run.json").read_text())["status"] == "stopped"
    assert len(read_trials(folder)) == 1
    assert len(pd.read_parquet(folder / "events.parquet")) == 10
    assert not (folder / "scores.csv").exists()


def test_a_run_without_events_has_an_empty_table(tmp_path):
    with RunFolder(tmp_path / "run", {}):
        pass
    table = pd.read_parquet(tmp_path / "run" / "events.parquet")
    assert tuple(table.columns) == EVENT_COLUMNS
    assert len(table) == 0


def test_a_folder_with_files_is_refused(tmp_path):
    (tmp_path / "old.txt").write_text("results")
    with pytest.raises(FileExistsError, match="Expected a new or empty folder"):
        RunFolder(tmp_path, {})
