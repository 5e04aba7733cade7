"""Links that were planted in a run folder: nothing outside it is written to."""

import json
import os
import shutil

import pytest
from stored_runs import SCORES, assert_same_run, entry

from rh_lens.files import is_temporary, replacing, write_json
from rh_lens.runs import DamagedRunError, Shard, load_run, merge_runs


@pytest.fixture
def mine(tmp_path):
    """A file outside the run folder that somebody wants to have written over."""
    path = tmp_path / "mine"
    path.write_text("mine")
    yield path
    assert path.read_text() == "mine"
    assert not path.is_symlink()


@pytest.fixture
def stopped(made_up, tmp_path):
    """A run that was stopped after three trials."""
    with made_up.folder(tmp_path / "run") as store:
        for index in (0, 1, 2):
            store.add(*made_up.pairs[index])
    return tmp_path / "run"


def test_a_link_under_the_temporary_name_of_before_is_left_alone(
    made_up, undisturbed, stopped, mine
):
    names = ("run.json", "scores.csv", "events.parquet", "head_scores.json")
    for name in names:
        (stopped / f"{name}.new").symlink_to(mine)
    made_up.write(stopped)
    assert_same_run(stopped, undisturbed)
    assert all((stopped / f"{name}.new").is_symlink() for name in names)


@pytest.mark.parametrize("name", [*SCORES, "events.parquet"])
def test_a_link_in_place_of_a_table_is_replaced(made_up, undisturbed, stopped, mine, name):
    (stopped / name).symlink_to(mine)
    made_up.write(stopped)
    assert_same_run(stopped, undisturbed)
    assert not (stopped / name).is_symlink()


def test_a_link_in_place_of_the_description_is_replaced(made_up, undisturbed, stopped, tmp_path):
    kept = tmp_path / "elsewhere.json"
    shutil.move(stopped / "run.json", kept)
    before = kept.read_bytes()
    (stopped / "run.json").symlink_to(kept)
    made_up.write(stopped)
    assert_same_run(stopped, undisturbed)
    assert kept.read_bytes() == before


def test_a_linked_trial_is_not_read_and_is_answered_again(made_up, undisturbed, stopped, tmp_path):
    kept = tmp_path / "elsewhere"
    path = entry(stopped, 1)
    shutil.move(path, kept)
    before = kept.read_bytes()
    path.symlink_to(kept)
    with pytest.raises(DamagedRunError, match="Too many levels of symbolic links"):
        load_run(stopped)
    made_up.write(stopped)
    assert_same_run(stopped, undisturbed)
    assert not path.is_symlink()
    assert kept.read_bytes() == before


def test_a_linked_log_is_refused(made_up, stopped, tmp_path, mine):
    """What is added to it would go to another place."""
    shutil.move(stopped / "log", tmp_path / "elsewhere")
    (stopped / "log").symlink_to(tmp_path / "elsewhere")
    n_files = len(list((tmp_path / "elsewhere").iterdir()))
    for read in (load_run, made_up.write):
        with pytest.raises(DamagedRunError):
            read(stopped)
    assert len(list((tmp_path / "elsewhere").iterdir())) == n_files
    for target in (tmp_path / "not there", tmp_path / "elsewhere", mine):
        folder = tmp_path / f"new-{target.name}"
        folder.mkdir()
        (folder / "log").symlink_to(target)
        with pytest.raises(DamagedRunError, match="log is a link"):
            made_up.write(folder)
    assert not (tmp_path / "not there").exists()


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_linked_lock_is_refused(made_up, stopped, mine, link):
    (stopped / "log" / ".lock").unlink()
    link(mine, stopped / "log" / ".lock")
    with pytest.raises(DamagedRunError, match=r"\.lock is a link|\.lock .* has 2 names"):
        made_up.write(stopped)


@pytest.mark.parametrize("name", ["log", "run.json"])
def test_a_pipe_is_refused_and_not_waited_for(made_up, tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises((DamagedRunError, OSError)):
        made_up.write(tmp_path)


def test_a_link_in_place_of_a_shards_folder_is_refused(made_up, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    shard = Shard(1, 2)
    (tmp_path / shard.folder).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError, match=r"Expected a folder for shard 1/2 at .* a link"):
        made_up.write(tmp_path / shard.folder, shard=shard)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_merge_writes_through_no_link(made_up, undisturbed, tmp_path, mine):
    for number in (1, 2):
        shard = Shard(number, 2)
        made_up.write(tmp_path / "all" / shard.folder, shard=shard)
    for name in ("trials.jsonl.new", "run.json.new"):
        (tmp_path / "all" / name).symlink_to(mine)
    with pytest.raises(FileExistsError, match=r"found \['run.json.new', 'trials.jsonl.new'\]"):
        merge_runs([tmp_path / "all"], tmp_path / "all")
    merge_runs([tmp_path / "all"], tmp_path / "out")
    assert_same_run(tmp_path / "out", undisturbed)


def test_temporary_files_are_new_plain_and_under_names_that_nobody_guesses(tmp_path, monkeypatch):
    names = set()
    for _ in range(50):
        with replacing(tmp_path / "run.json") as temporary:
            names.add(temporary.name)
            assert is_temporary(temporary)
            assert temporary.stat().st_size == 0
    assert len(names) == 50
    monkeypatch.setattr("rh_lens.files.secrets.token_hex", lambda n: "0" * 2 * n)
    (tmp_path / f".run.json.{'0' * 32}.new").symlink_to(tmp_path / "planted")
    with pytest.raises(FileExistsError):
        write_json(tmp_path / "run.json", {})
    assert not (tmp_path / "planted").exists()
    assert json.loads((tmp_path / "run.json").read_text() or "0") == 0
