import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_runs import RandomRun, assert_same_run, beginning, contents, entry

from rh_lens.detection import NoAcceptedTrialsError
from rh_lens.runs import DamagedRunError, Shard, load_run, merge_runs
from rh_lens.runs.log import LogWriter
from rh_lens.runtime import plan

N_TRIALS = 9


@pytest.fixture
def shards(made_up, tmp_path, monkeypatch):
    """The run in three shards, in a folder of them."""
    monkeypatch.setattr(plan, "UNIT", 2)
    for number in (1, 2, 3):
        shard = Shard(number, 3)
        made_up.write(tmp_path / "all" / shard.folder, shard=shard)
    return sorted((tmp_path / "all").iterdir())


def write_part(run, folder, indices):
    with run.folder(folder) as store:
        for index in indices:
            store.add(*run.pairs[index])


@given(st.lists(st.integers(0, 3), min_size=N_TRIALS, max_size=N_TRIALS), st.randoms())
@settings(max_examples=15, deadline=None)
def test_however_trials_are_dealt_the_merged_run_is_the_whole_one(
    made_up, undisturbed, tmp_path_factory, owners, random
):
    folder = tmp_path_factory.mktemp("merge")
    order = random.sample(range(N_TRIALS), N_TRIALS)
    for part in set(owners):
        write_part(made_up, folder / str(part), [i for i in order if owners[i] == part])
    parts = [folder / str(part) for part in set(owners)]
    run = merge_runs(random.sample(parts, len(parts)), folder / "out")
    assert run.status == "finished"
    assert_same_run(folder / "out", undisturbed)


def test_shards_are_merged_into_the_folder_that_holds_them(shards, undisturbed, made_up):
    folder = shards[0].parent
    assert [len(load_run(shard).trials) for shard in shards] == [4, 3, 2]
    run = merge_runs([folder], folder)
    assert_same_run(folder, undisturbed)
    assert [part["trials"] for part in run.description["merged"]] == [4, 3, 2]
    assert len(run.description["sessions"]) == 3
    assert run.description["shard"] is None
    assert run.accounting()["open"] == 0
    with made_up.folder(folder) as store:
        assert store.was_finished


def test_a_missing_prompt_is_an_error_unless_asked_for(shards, undisturbed, made_up, tmp_path):
    expected = r"Expected all 9 prompts in .*shard-1-of-3.*; found that 3 are missing: \["
    with pytest.raises(ValueError, match=expected):
        merge_runs([shards[0], shards[2]], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    run = merge_runs([shards[0], shards[2]], tmp_path / "out", partial=True)
    assert (run.status, run.accounting()["open"]) == ("partial", 3)
    assert run.scores.values.shape[0] == run.accounting()["accepted"]
    made_up.write(tmp_path / "out")
    assert_same_run(tmp_path / "out", undisturbed)
    assert load_run(tmp_path / "out").status == "finished"


def test_a_trial_in_two_parts_is_refused(made_up, tmp_path):
    write_part(made_up, tmp_path / "one", [0, 1, 4])
    write_part(made_up, tmp_path / "two", [4, 2])
    with pytest.raises(ValueError, match=r"found 1 trials \(\[4\]\) in both .*one.* and .*two"):
        merge_runs([tmp_path / "one", tmp_path / "two"], tmp_path / "out", partial=True)
    with pytest.raises(ValueError, match=r"Expected each folder once; found .*one.* twice"):
        merge_runs([tmp_path / "one"] * 2, tmp_path / "out", partial=True)


def test_parts_of_different_runs_are_refused_and_told_apart(made_up, tmp_path):
    other = RandomRun(n_trials=N_TRIALS, seed=8)
    write_part(made_up, tmp_path / "one", [0])
    write_part(other, tmp_path / "two", [1])
    with pytest.raises(ValueError, match=r"two' \(here\) differs from .*prompts\.sha256: '"):
        merge_runs([tmp_path / "one", tmp_path / "two"], tmp_path / "out", partial=True)


def test_a_damaged_part_is_an_error_unless_the_rest_is_asked_for(
    shards, undisturbed, made_up, tmp_path
):
    lost = load_run(shards[1]).trials[1].index
    path = entry(shards[1], lost)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedRunError, match=rf"log/{path.name}: not as it was written"):
        merge_runs(shards, tmp_path / "out")
    run = merge_runs(shards, tmp_path / "out", partial=True)
    assert run.damage == ()
    assert "not as it was written" in run.description["merged"][1]["damage"][0]
    with made_up.folder(tmp_path / "out") as store:
        assert store.missing == [lost]
    made_up.write(tmp_path / "out")
    assert_same_run(tmp_path / "out", undisturbed)


def test_a_used_folder_is_refused_before_anything_is_written(shards, undisturbed):
    before = contents(undisturbed)
    with pytest.raises(FileExistsError, match="found one with other trials"):
        merge_runs(shards, undisturbed)
    assert contents(undisturbed) == before


@pytest.mark.parametrize("damage", ["lost", "empty", "broken", "beginning"])
def test_a_run_whose_description_is_lost_goes_on(made_up, undisturbed, tmp_path, damage):
    folder = tmp_path / "run"
    write_part(made_up, folder, range(6))
    path = beginning(folder) if damage == "beginning" else folder / "run.json"
    if damage in ("lost", "beginning"):
        path.unlink()
    else:
        path.write_text("" if damage == "empty" else path.read_text()[:-9])
    for read in (load_run, lambda path: merge_runs([path], tmp_path / "out")):
        with pytest.raises(DamagedRunError, match=r"repeat the command that made it: it makes ag"):
            read(folder)
    run = merge_runs([folder], tmp_path / "out", partial=True)
    assert (run.status, len(run.trials)) == ("partial", 6)
    assert run.description["key"] == made_up.key
    for path in (folder, tmp_path / "out"):
        made_up.write(path)
        assert_same_run(path, undisturbed)
        assert load_run(path).status == "finished"


def test_a_run_without_any_description_names_what_is_missing(made_up, tmp_path):
    write_part(made_up, tmp_path / "run", [0])
    (tmp_path / "run" / "run.json").unlink()
    beginning(tmp_path / "run").unlink()
    for read in (made_up.write, lambda path: merge_runs([path], tmp_path / "out", partial=True)):
        with pytest.raises(DamagedRunError, match=r"log does not say what the run is"):
            read(tmp_path / "run")


def test_a_merge_grows_and_is_not_written_over(shards, undisturbed, tmp_path):
    out = tmp_path / "out"
    for _ in range(2):
        assert merge_runs(shards[:2], out, partial=True).status == "partial"
    assert merge_runs(shards, out).status == "finished"
    assert_same_run(out, undisturbed)
    with pytest.raises(FileExistsError, match="found one with other trials"):
        merge_runs(shards[:2], out, partial=True)
    assert_same_run(out, undisturbed)


def test_one_process_merges_at_a_time(shards, made_up, tmp_path):
    with (
        made_up.folder(tmp_path / "out"),
        pytest.raises(BlockingIOError, match="Expected no other process to write to the run"),
    ):
        LogWriter(tmp_path / "out", "another")


def test_nothing_to_merge(tmp_path):
    with pytest.raises(ValueError, match="Expected paths to have 1 or more entries; found 0"):
        merge_runs([], tmp_path)
    with pytest.raises(FileNotFoundError, match="Expected a run folder"):
        merge_runs([tmp_path / "nowhere"], tmp_path / "out")


def test_shards_without_accepted_trials_are_merged_without_scores(tmp_path):
    run = RandomRun(n_trials=2, seed=1)
    for trial, _ in run.pairs.values():
        object.__setattr__(trial, "accepted", False)
    for number in (1, 2):
        run.write(tmp_path / f"shard-{number}-of-2", shard=Shard(number, 2))
    merged = merge_runs([tmp_path], tmp_path)
    assert merged.accounting()["rejected"] == 2
    assert not (tmp_path / "scores.csv").exists()
    with pytest.raises(NoAcceptedTrialsError):
        _ = merged.scores
