import json

import pandas as pd
import pytest
import torch
from stored_runs import RandomRun, beginning, entry
from tolerances import double_rounding

from rh_lens.formats import read_head_scores
from rh_lens.runs import DamagedRunError, Shard, load_ablation, load_run


@pytest.fixture
def finished(made_up, tmp_path):
    folder = tmp_path / "run"
    result = made_up.write(folder)
    return folder, result


def same(one, other):
    return torch.equal(one.nan_to_num(nan=-1.0), other.nan_to_num(nan=-1.0))


def test_a_run_is_read_back_as_it_was(finished, made_up):
    folder, result = finished
    run = load_run(folder)
    assert (run.status, run.damage) == ("finished", ())
    assert [trial.index for trial in run.trials] == list(range(9))
    assert [trial.accepted for trial in run.trials] == [
        t.accepted for t, _ in made_up.pairs.values()
    ]
    assert run.scores.name == "position"
    assert run.scores.trials == result.scores.trials
    assert same(run.scores.values, result.scores.values)
    expected = pd.concat([events for _, events in made_up.pairs.values()], ignore_index=True)
    pd.testing.assert_frame_equal(run.events.table, expected, check_exact=True)
    pd.testing.assert_frame_equal(run.result().to_dataframe(), result.to_dataframe())
    assert (run.result().n_heads, run.result().n_kv_heads) == (4, 2)


@pytest.mark.parametrize(
    "name", ["token-set", "event", "teacher-forced", "fed-attention", "attention-mass"]
)
def test_every_other_score_can_be_had_from_disk(finished, name):
    folder, result = finished
    assert same(load_run(folder).score(name).values, result.score(name).values)


def test_the_published_file_holds_the_same_means(finished):
    folder, _ = finished
    mean = load_run(folder).scores.mean()
    lists = json.loads((folder / "head_scores.json").read_text())
    allowed = double_rounding(9)
    for key, values in lists.items():
        layer, head = map(int, key.split("-"))
        assert sum(values) / len(values) == pytest.approx(float(mean[layer, head]), rel=allowed)
    means = read_head_scores(folder / "head_scores.json", means_only=True)
    torch.testing.assert_close(means.mean(), mean, equal_nan=True)


def test_prompts_give_their_tokens_to_the_trials(finished, made_up):
    folder, _ = finished
    assert load_run(folder).trials[0].prompt.tokens[0] == -1
    assert load_run(folder, prompts=made_up.prompts).trials[0].prompt is made_up.prompts[0]
    others = RandomRun(n_trials=9, seed=4).prompts
    with pytest.raises(ValueError, match=r"Expected prompt 0 to have the SHA-256 .* Pass the prom"):
        load_run(folder, prompts=others)


def test_a_run_that_goes_on_has_the_trials_it_has(made_up, tmp_path):
    with made_up.folder(tmp_path) as store:
        assert len(load_run(tmp_path).trials) == 0
        for index in (0, 5):
            store.add(*made_up.pairs[index])
        run = load_run(tmp_path)
    assert run.status == "running"
    assert [trial.index for trial in run.trials] == [0, 5]
    count = run.accounting()
    assert count["accepted"] + count["rejected"] == 2
    assert (count["prompts"], count["open"]) == (9, 7)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("scores.csv", "scores.csv is not as it was written"),
        ("head_scores.json", "head_scores.json is not as it was written"),
        ("events.parquet", "events.parquet is not as it was written"),
        ("trials.jsonl", "trials.jsonl is not as it was written"),
        ("run.json", r"run\.json can't be read \(JSONDecodeError"),
        ("entry", r"log/000004-\w+\.safetensors: not as it was written"),
        ("beginning", r"log does not say what the run is; log/begin-\w+\.safetensors: not as it"),
    ],
)
def test_damage_is_an_error_that_names_it_and_the_rest_can_be_had(finished, name, text):
    folder, result = finished
    path = {"entry": entry(folder, 4), "beginning": beginning(folder)}.get(name, folder / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DamagedRunError, match=text) as caught:
        load_run(folder)
    assert str(folder) in str(caught.value)
    run = load_run(folder, recover=True)
    assert run.damage == caught.value.damage
    lost = {4} if name == "entry" else set()
    assert {trial.index for trial in run.trials} == set(range(9)) - lost
    kept = [place for place, index in enumerate(result.scores.trials) if index not in lost]
    assert same(run.scores.values, result.scores.values[kept])
    assert run.description["command"] == "x"


def test_a_run_whose_description_is_lost_has_the_one_of_its_log(finished, made_up):
    folder, result = finished
    (folder / "run.json").unlink()
    run = load_run(folder, recover=True)
    assert run.status == "unknown"
    assert (run.description["key"], run.description["command"]) == (made_up.key, "x")
    assert same(run.scores.values, result.scores.values)


def test_a_run_without_any_description_still_has_scores_by_name(finished):
    folder, result = finished
    (folder / "run.json").unlink()
    beginning(folder).unlink()
    run = load_run(folder, recover=True)
    assert same(run.score("position").values, result.scores.values)
    with pytest.raises(ValueError, match=r"Expected log or run\.json to say which score"):
        _ = run.scores


def test_lost_trials_are_counted(finished):
    folder, _ = finished
    for number in (2, 7):
        entry(folder, number).unlink()
    with pytest.raises(DamagedRunError, match=r"log holds 7 whole entries, and run\.json counts 9"):
        load_run(folder)
    assert len(load_run(folder, recover=True).trials) == 7


def test_a_folder_that_is_no_run_is_refused(tmp_path, made_up):
    with pytest.raises(FileNotFoundError, match=r"Expected a run folder, .* found none\. Give the"):
        load_run(tmp_path / "nowhere")
    with made_up.folder(tmp_path / "shard-1-of-2", shard=Shard(1, 2)):
        pass
    with pytest.raises(FileNotFoundError, match=r"found its parts \['shard-1-of-2'\]\. Join them"):
        load_run(tmp_path)


def test_folders_of_other_commands_and_versions_are_told_apart(finished, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "run.json").write_text('{"command": "ablate", "answers": {}}')
    with pytest.raises(ValueError, match=r"format 3 at .* found format 1, of an earlier rh-lens"):
        load_run(other, recover=True)
    (other / "run.json").write_text('{"format": 4}')
    with pytest.raises(ValueError, match=r"found format 4, of a later rh-lens"):
        load_run(other)
    with pytest.raises(ValueError, match=r"a run of rh-lens ablate in .* one of rh-lens detect"):
        load_ablation(finished[0])
