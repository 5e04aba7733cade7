"""A folder or file for results is this process's own before the work begins."""

import errno
import os

import pytest

from rh_lens.runs import reserve, reserve_file, reserve_folder, reserve_new_folder


def test_a_folder_is_made_and_stays_only_if_something_is_put_there(tmp_path):
    deep = tmp_path / "a" / "b"
    with reserve_folder(deep) as folder:
        assert folder.is_dir()
    assert not (tmp_path / "a").exists()
    with pytest.raises(ZeroDivisionError), reserve_folder(deep):
        1 / 0  # noqa: B018
    assert not (tmp_path / "a").exists()
    with reserve_folder(deep) as folder:
        (folder / "result").write_text("here")
    assert (deep / "result").read_text() == "here"


def test_an_empty_folder_of_the_users_is_left(tmp_path):
    with reserve_folder(tmp_path):
        pass
    assert tmp_path.is_dir()


def test_two_cannot_have_the_same_folder(tmp_path):
    with (
        reserve_folder(tmp_path / "run"),
        pytest.raises(BlockingIOError, match="Expected no other process to write to the run"),
        reserve_folder(tmp_path / "run"),
    ):
        pass
    with reserve_folder(tmp_path / "run"):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_folder_of_a_killed_process_is_free(tmp_path):
    process = os.fork()
    if process == 0:
        with reserve_folder(tmp_path / "run"):
            os.kill(os.getpid(), 9)
    os.waitpid(process, 0)
    with reserve_folder(tmp_path / "run") as folder:
        assert list(folder.iterdir()) == []


def test_what_is_impossible_says_so_with_the_path_and_a_remedy(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file", tmp_path / "file" / "run", tmp_path / ("x" * 300)):
        with pytest.raises(OSError, match=r"results to .*impossible: .*Choose another place"):
            reserve_folder(path).__enter__()
        with pytest.raises(OSError, match=r"results to .*impossible: .*Choose another place"):
            reserve_file(path / "bench.csv").__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_noticed_first(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(reserve.os, "fsync", full)
    with pytest.raises(OSError, match="impossible: No space left on device"):
        reserve_folder(tmp_path / "run").__enter__()
    assert list(tmp_path.iterdir()) == []


def test_two_new_folders_of_one_name_differ(tmp_path):
    parent = tmp_path / "runs"
    with reserve_new_folder(parent, "demo-1") as one, reserve_new_folder(parent, "demo-1") as two:
        assert (one.name, two.name) == ("demo-1", "demo-1-2")
        (two / "result").touch()
    assert sorted(path.name for path in parent.iterdir()) == ["demo-1-2"]
    with reserve_new_folder(tmp_path / "others", "demo-1"):
        pass
    assert not (tmp_path / "others").exists()


def test_a_file_is_made_kept_when_written_and_not_shared(tmp_path):
    path = tmp_path / "bench.csv"
    with reserve_file(path):
        assert path.exists()
        with pytest.raises(BlockingIOError), reserve_file(path):
            pass
    assert not path.exists()
    path.write_text("old")
    with reserve_file(path):
        assert path.read_text() == "old"
    assert path.read_text() == "old"


def test_an_error_inside_stays_what_it_is(tmp_path):
    for context in (reserve_folder(tmp_path / "run"), reserve_file(tmp_path / "file")):
        with pytest.raises(OSError, match="mine"), context:
            raise OSError("mine")
