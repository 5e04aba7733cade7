import json

import pandas as pd
import pytest
import torch
from stored_runs import RandomRun
from tolerances import double_rounding

from rh_lens.formats import read_head_scores
from rh_lens.runs import DamagedRunError, Shard, load_run


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
    assert run.trials["trial"].tolist() == list(range(9))
    assert run.trials["accepted"].tolist() == [t.accepted for t, _ in made_up.pairs.values()]
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
    assert load_run(folder).answered[0].prompt.tokens[0] == -1
    assert load_run(folder, prompts=made_up.prompts).answered[0].prompt is made_up.prompts[0]
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
    assert run.trials["trial"].tolist() == [0, 5]
    count = run.accounting()
    assert count["accepted"] + count["rejected"] == 2
    assert (count["prompts"], count["open"]) == (9, 7)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("scores.csv", "scores.csv is not as it was written"),
        ("head_scores.json", "head_scores.json is not as it was written"),
        ("events.parquet", "events.parquet is not as it was written"),
        ("run.json", r"run\.json can't be read \(JSONDecodeError"),
        ("trials.jsonl", "trials.jsonl, line 5: broken"),
        ("heads.jsonl", "trials.jsonl, line 5: trial 4 has no whole line in heads.jsonl"),
    ],
)
def test_damage_is_an_error_that_names_it_and_the_rest_can_be_had(finished, name, text):
    folder, result = finished
    data = (folder / name).read_bytes()
    middle = data.split(b"\n")
    place = 5 if name == "heads.jsonl" else 4
    broken = b"{" + data if name == "run.json" else data[: len(data) // 2]
    if name.endswith("l"):
        middle[place] = middle[place][:-9]
        broken = b"\n".join(middle)
    (folder / name).write_bytes(broken)
    with pytest.raises(DamagedRunError, match=text) as caught:
        load_run(folder)
    assert str(folder) in str(caught.value)
    run = load_run(folder, recover=True)
    assert run.damage == caught.value.damage
    lost = {4} if name.endswith("l") else set()
    assert set(run.trials["trial"]) == set(range(9)) - lost
    kept = [place for place, index in enumerate(result.scores.trials) if index not in lost]
    assert same(run.score("position").values, result.scores.values[kept])


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
    lines = (folder / "heads.jsonl").read_bytes()
    (folder / "heads.jsonl").write_bytes(lines.replace(b"made_up", b"other", 1)[9:])
    run = load_run(folder, recover=True)
    assert same(run.score("position").values, result.scores.values)
    with pytest.raises(ValueError, match=r"Expected run\.json or heads\.jsonl to say which score"):
        _ = run.scores


def test_a_truncated_finished_run_is_damaged_even_between_two_lines(finished):
    folder, _ = finished
    for name, n_lines in (("trials.jsonl", 6), ("heads.jsonl", 7)):
        lines = (folder / name).read_bytes().split(b"\n")
        (folder / name).write_bytes(b"\n".join([*lines[:n_lines], b""]))
    with pytest.raises(DamagedRunError, match=r"hold 6 whole trials, and run\.json counts 9"):
        load_run(folder)
    assert len(load_run(folder, recover=True).trials) == 6


def test_a_folder_that_is_no_run_is_refused(tmp_path, made_up):
    with pytest.raises(FileNotFoundError, match=r"Expected a run folder, .* found none\. Give the"):
        load_run(tmp_path / "nowhere")
    with made_up.folder(tmp_path / "shard-1-of-2", shard=Shard(1, 2)):
        pass
    with pytest.raises(FileNotFoundError, match=r"found its parts \['shard-1-of-2'\]\. Join them"):
        load_run(tmp_path)


def test_a_folder_of_another_command_is_told_apart(tmp_path):
    (tmp_path / "run.json").write_text('{"command": "ablate"}')
    with pytest.raises(ValueError, match=r"Expected a run of rh-lens detect in .* of 'ablate'"):
        load_run(tmp_path, recover=True)
