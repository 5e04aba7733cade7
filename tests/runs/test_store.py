import errno
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from stored_runs import RandomRun, assert_same_run, choices, contents, entry

from rh_lens.detection import EVENT_COLUMNS, NoAcceptedTrialsError
from rh_lens.runs import (
    Shard,
    TrialStore,
    describe_model,
    load_run,
    result_tables,
    run_key,
)

FILES = [
    "events.parquet",
    "head_scores.json",
    "log",
    "run.json",
    "scores.csv",
    "trials.jsonl",
]


def read_trials(folder):
    lines = (folder / "trials.jsonl").read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]


def describe(folder):
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def key(llama, otter_prompt):
    return run_key(describe_model(llama, "tiny"), [otter_prompt] * 2, choices())


@pytest.fixture
def finished(run, key, otter_prompt, tmp_path):
    folder = tmp_path / "run"
    description = {"command": "detect", "started": "today", "machine": {}}
    with TrialStore(folder, [otter_prompt] * 2, key, description, save_prompts=True) as store:
        result = run(log=store)
        store.finish()
    return folder, result


def test_a_finished_run_has_its_five_files_and_its_log(finished, key):
    folder, _ = finished
    assert sorted(path.name for path in folder.iterdir()) == FILES
    found = describe(folder)
    assert (found["status"], found["error"], found["command"]) == ("finished", None, "detect")
    assert found["accounting"] == {
        "prompts": 2,
        "accepted": 1,
        "rejected": 1,
        "failed": 0,
        "open": 0,
    }
    assert found["key"] == key
    assert found["sessions"] == [{"started": "today", "machine": {}, "n_before": 0}]
    products = ["events.parquet", "head_scores.json", "scores.csv", "trials.jsonl"]
    assert sorted(found["files"]) == products


def test_a_trials_line_tells_needle_place_answer_and_verdict(finished, otter_prompt):
    accepted, rejected = read_trials(finished[0])
    assert accepted["trial"] == 0
    assert accepted["needle.question"] == "What is the secret word?"
    assert accepted["needle.answer"] == accepted["text"] == "a violet otter"
    assert accepted["context_length"] == 150
    assert accepted["requested_depth"] == 0.5
    assert accepted["depth"] == otter_prompt.depth
    assert accepted["answer_span"] == list(otter_prompt.answer_span)
    assert accepted["tokens"] == otter_prompt.answer_tokens.tolist()
    assert accepted["prompt_tokens"] == otter_prompt.tokens.tolist()
    assert accepted["prompt_sha256"] == otter_prompt.sha256
    assert (accepted["accepted"], accepted["recall"]) == (True, 1.0)
    assert (rejected["accepted"], rejected["text"]) == (False, "a grey boat")
    assert "a grey boat" in rejected["reason"]


def test_prompts_are_left_out_unless_asked_for(undisturbed):
    assert "prompt_tokens" not in read_trials(undisturbed)[0]


def test_tables_on_disk_are_the_results(finished):
    folder, result = finished
    events = pd.read_parquet(folder / "events.parquet")
    assert tuple(events.columns) == EVENT_COLUMNS
    assert len(events) == 10
    pd.testing.assert_frame_equal(events, result.events.table, check_exact=True)
    scores = pd.read_csv(folder / "scores.csv")
    assert scores["label"].tolist()[:2] == ["L0H1", "L1H2"]
    assert scores["score"].tolist()[:3] == [1.0, 3 / 7, 0.0]
    assert len(scores) == result.scores.mean().numel() == 12


def test_a_stopped_run_keeps_its_trials_and_goes_on(made_up, undisturbed, tmp_path):
    def stop_after_four(store):
        for index in store.missing[:4]:
            store.add(*made_up.pairs[index])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), made_up.folder(tmp_path / "run") as store:
        stop_after_four(store)
    found = describe(tmp_path / "run")
    assert (found["status"], found["error"]) == ("stopped", None)
    assert found["accounting"]["open"] == 5
    assert not (tmp_path / "run" / "scores.csv").exists()
    with made_up.folder(tmp_path / "run") as store:
        assert sorted(store.done) == [0, 1, 2, 3]
        assert store.missing == [4, 5, 6, 7, 8]
        assert not store.was_finished
        with pytest.raises(ValueError, match="found a run with 5 of its prompts missing"):
            store.finish()
    made_up.write(tmp_path / "run")
    assert_same_run(tmp_path / "run", undisturbed)
    before = [session["n_before"] for session in describe(tmp_path / "run")["sessions"]]
    assert before == [0, 4, 4]


def test_an_error_in_a_trial_stops_the_run_and_is_kept(made_up, undisturbed, tmp_path):
    def fail_in_trial_one(store):
        store.start(0)
        store.add(*made_up.pairs[0])
        store.start(1)
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError), made_up.folder(tmp_path / "run") as store:
        fail_in_trial_one(store)
    found = describe(tmp_path / "run")
    assert found["status"] == "failed"
    assert found["error"] == {"type": "RuntimeError", "message": "out of memory", "trials": [1]}
    assert found["accounting"] == {
        "prompts": 9,
        "accepted": 1,
        "rejected": 0,
        "failed": 1,
        "open": 7,
    }
    made_up.write(tmp_path / "run")
    assert_same_run(tmp_path / "run", undisturbed)
    assert describe(tmp_path / "run")["accounting"]["failed"] == 0


def test_a_finished_run_is_left_as_it_is(made_up, undisturbed):
    before = contents(undisturbed)
    with made_up.folder(undisturbed) as store:
        assert store.was_finished
        assert store.missing == []
        result = store.finish()
    assert len(result.trials) == 9
    assert result.trials[3].prompt is made_up.prompts[3]
    assert before == contents(undisturbed)


def test_a_finished_shard_is_left_as_it_is(made_up, tmp_path):
    for _ in range(2):
        made_up.write(tmp_path, shard=Shard(1, 2))
        assert describe(tmp_path)["status"] == "finished"
        assert describe(tmp_path)["shard"] == {"number": 1, "of": 2, "prompts": 5}
        assert len(describe(tmp_path)["sessions"]) == 1
    with (
        made_up.folder(tmp_path, shard=Shard(1, 2)) as store,
        pytest.raises(ValueError, match=r"found shard 1/2 with 0 of its prompts missing\. Answer"),
    ):
        store.finish()


def test_a_lost_table_is_written_again(made_up, undisturbed, tmp_path):
    made_up.write(tmp_path / "run")
    (tmp_path / "run" / "scores.csv").unlink()
    made_up.write(tmp_path / "run")
    assert_same_run(tmp_path / "run", undisturbed)


def test_a_trial_is_added_once_and_by_its_own_shard(made_up, tmp_path):
    with made_up.folder(tmp_path / "run") as store:
        store.add(*made_up.pairs[2])
        with pytest.raises(ValueError, match="found trial 2, which is there already"):
            store.add(*made_up.pairs[2])
    shard = Shard(1, 2)
    assert 2 not in shard.prompts(made_up.prompts)
    with (
        made_up.folder(tmp_path / "shard", shard=shard) as store,
        pytest.raises(ValueError, match="found trial 2, which is of another shard"),
    ):
        store.add(*made_up.pairs[2])


@pytest.mark.parametrize(
    ("section", "field", "text"),
    [
        ("model", "weights_sha256", "model.weights_sha256: 'aaaaaaaaaaaa' there, 1 here"),
        ("model", "dtype", "model.dtype: 'float32' there, 1 here"),
        ("model", "tokenizer_sha256", "model.tokenizer_sha256: 'bbbbbbbbbbbb' there, 1 here"),
        ("prompts", "number", "prompts.number: 9 there, 1 here"),
        ("options", "score", "options.score: 'position' there, 1 here"),
        ("options", "max_new_tokens", "options.max_new_tokens: 7 there, 1 here"),
        ("versions", "torch", "versions.torch: '"),
        ("options", "new", "options.new: nothing there, 1 here"),
    ],
)
def test_another_run_is_refused_and_told_apart(made_up, undisturbed, section, field, text):
    other = {**made_up.key, section: {**made_up.key[section], field: 1}}
    before = (undisturbed / "run.json").read_bytes()
    with pytest.raises(ValueError, match="Expected the run in") as caught:
        TrialStore(undisturbed, made_up.prompts, other).__enter__()
    assert text in str(caught.value)
    assert "arguments" not in str(caught.value)
    assert (undisturbed / "run.json").read_bytes() == before


def test_a_difference_is_explained_by_the_arguments(made_up, tmp_path):
    with TrialStore(
        tmp_path, made_up.prompts, made_up.key, {"arguments": {"depths": 5, "seed": 1}}
    ):
        pass
    other = {**made_up.key, "prompts": {"number": 9, "sha256": "d" * 64}}
    with pytest.raises(ValueError, match=r"arguments.depths: 5 there, 6 here; prompts") as caught:
        TrialStore(
            tmp_path, made_up.prompts, other, {"arguments": {"depths": 6, "seed": 1}}
        ).__enter__()
    assert "prompts.sha256: " in str(caught.value)
    assert "seed" not in str(caught.value)


def test_another_shard_is_refused(made_up, tmp_path):
    with made_up.folder(tmp_path, shard=Shard(1, 2)):
        pass
    with pytest.raises(ValueError, match=r"shard\.number: 1 there, 2 here"):
        made_up.folder(tmp_path, shard=Shard(2, 2)).__enter__()


def test_a_folder_with_other_files_is_refused(made_up, tmp_path):
    (tmp_path / "old.txt").write_text("results")
    with pytest.raises(
        FileExistsError, match=r"a new or empty folder for a run, .*; found .*old.txt"
    ):
        made_up.folder(tmp_path).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["old.txt"]


def test_what_is_damaged_or_lost_is_answered_again(made_up, undisturbed, tmp_path):
    made_up.write(tmp_path / "run")
    entry(tmp_path / "run", 1).write_bytes(b"?")
    entry(tmp_path / "run", 7).unlink()
    with made_up.folder(tmp_path / "run") as store:
        assert not store.was_finished
        assert store.missing == [1, 7]
        first, second, *_ = store.damage
        assert re.fullmatch(r"log/000001-\w+\.safetensors: not as it was written", first)
        assert second == "log holds 7 whole entries, and run.json counts 9"
    made_up.write(tmp_path / "run")
    assert_same_run(tmp_path / "run", undisturbed)
    assert load_run(tmp_path / "run").damage == ()


@pytest.mark.parametrize("place", ["log", "table"])
def test_a_full_disk_loses_nothing_but_the_trial_under_way(
    made_up, undisturbed, tmp_path, monkeypatch, place
):
    full = OSError(errno.ENOSPC, "No space left on device")
    writes = Path.write_bytes

    def fill_the_disk(path, content):
        if path.name.startswith(".000004"):
            writes(path, content[:100])
            raise full
        return writes(path, content)

    def refuse(*arguments):
        raise full

    with monkeypatch.context() as patch:
        if place == "log":
            patch.setattr(Path, "write_bytes", fill_the_disk)
        else:
            patch.setattr(result_tables, "write_head_scores", refuse)
        with pytest.raises(OSError, match="No space left on device"):
            made_up.write(tmp_path / "run")
    found = describe(tmp_path / "run")
    assert found["status"] == "failed"
    assert found["error"]["message"].endswith("No space left on device")
    assert found["error"]["trials"] == ([4] if place == "log" else [])
    assert len(load_run(tmp_path / "run").trials) == (4 if place == "log" else 9)
    made_up.write(tmp_path / "run")
    assert_same_run(tmp_path / "run", undisturbed)


def test_the_first_error_is_not_hidden_by_a_full_disk(made_up, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    def fill_the_disk(store):
        store.start(0)
        monkeypatch.setattr("rh_lens.runs.description.write_json", refuse)
        raise RuntimeError("first")

    with pytest.raises(RuntimeError, match="first"), made_up.folder(tmp_path) as store:
        fill_the_disk(store)
    assert describe(tmp_path)["status"] == "running"


def test_a_run_without_accepted_trials_is_finished_without_scores(tmp_path):
    run = RandomRun(n_trials=3, seed=1)
    for trial, _ in run.pairs.values():
        object.__setattr__(trial, "accepted", False)
    for _ in range(2):
        with pytest.raises(NoAcceptedTrialsError):
            run.write(tmp_path)
        assert describe(tmp_path)["status"] == "finished"
        assert describe(tmp_path)["accounting"]["rejected"] == 3
        assert sorted(describe(tmp_path)["files"]) == ["events.parquet", "trials.jsonl"]
    stored = load_run(tmp_path)
    with pytest.raises(NoAcceptedTrialsError):
        _ = stored.scores
