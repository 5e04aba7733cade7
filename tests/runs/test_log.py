import errno
import json
import os
import random
import shutil

import pytest
import safetensors.torch
import torch
from stored_runs import beginning, entries, entry

from rh_lens.runs import log
from rh_lens.runs.log import DamagedRunError, LogWriter, read_log

RUN = "0123456789abcdef"
WHAT = {"key": {"score": "말"}}


def write(folder, n_trials, *, run=RUN):
    folder.mkdir(exist_ok=True)
    writer = LogWriter(folder, run)
    writer.begin(WHAT)
    for number in range(n_trials):
        writer.append(number, {"text": "a\u2028b"}, {"mass": torch.tensor([number / 3])})
    writer.close()


def test_what_was_appended_is_read_in_its_order(tmp_path):
    write(tmp_path, 3)
    found = read_log(tmp_path)
    assert found.description == WHAT
    assert list(found.entries) == [0, 1, 2]
    assert found.entries[1].record == {"run": RUN, "text": "a\u2028b"}
    assert found.entries[2].tensors["mass"].equal(torch.tensor([2 / 3]))
    assert found.damage == {}
    assert read_log(tmp_path, only_beginning=True).entries == {}


def test_a_file_is_plain_safetensors_and_named_by_its_content(tmp_path):
    write(tmp_path, 2)
    assert safetensors.torch.load_file(entry(tmp_path, 1))["mass"].equal(torch.tensor([1 / 3]))
    with safetensors.safe_open(entry(tmp_path, 1), "pt") as file:
        assert json.loads(file.metadata()["record"])["text"] == "a\u2028b"
    write(tmp_path / "again", 2)
    assert entries(tmp_path / "again") == entries(tmp_path)


def test_a_flipped_byte_or_a_cut_loses_its_own_entry_and_no_other(tmp_path):
    write(tmp_path / "whole", 4)
    rng = random.Random(0)
    for moment in range(60):
        folder = tmp_path / str(moment)
        shutil.copytree(tmp_path / "whole", folder)
        path = rng.choice(sorted((folder / "log").glob("[!.]*")))
        content = bytearray(path.read_bytes())
        place = rng.randrange(len(content))
        content[place] ^= 1 << rng.randrange(8)
        path.write_bytes(content if moment % 2 else content[:place])
        found = read_log(folder)
        assert found.damage == {path.name: f"log/{path.name}: not as it was written"}
        is_first = path == folder / "log" / beginning(folder).name
        lost = set() if is_first else {int(path.name[:6])}
        assert set(found.entries) == {0, 1, 2, 3} - lost
        assert found.description == (None if is_first else WHAT)


def test_an_entry_counts_once_and_only_in_its_run(tmp_path):
    write(tmp_path / "one", 2)
    write(tmp_path / "other", 3, run="another")
    shutil.copy(entry(tmp_path / "other", 2), tmp_path / "one" / "log")
    writer = LogWriter(tmp_path / "one", RUN)
    writer.append(1, {"text": "twice"}, {})
    writer.close()
    (tmp_path / "one" / "log" / "notes.txt").write_text("mine")
    found = read_log(tmp_path / "one")
    assert list(found.entries) == [0, 1]
    problems = sorted(text.partition(": ")[2] for text in found.damage.values())
    assert problems == ["a second time; the other one counts", "no file of a log", "of another run"]


def planted(folder, content):
    """A file with the name that its content asks for."""
    (folder / f"000000-{log._digits(content)}.safetensors").write_bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 20,
        safetensors.torch.save({}),
        safetensors.torch.save({}, metadata={"record": "5"}),
        safetensors.torch.save({}, metadata={"record": "[" * 10_000}),
        (10**6).to_bytes(8, "little") + b"[" * 10**6,
        b"\x80\x04cos\nsystem\n",
    ],
)
def test_what_no_run_writes_is_damage_under_any_name(tmp_path, content):
    write(tmp_path, 0)
    planted(tmp_path / "log", content)
    found = read_log(tmp_path)
    assert (found.entries, len(found.damage)) == ({}, 1)
    assert "holds what no run writes" in next(iter(found.damage.values()))


def test_links_pipes_folders_and_huge_files_are_not_read(tmp_path, monkeypatch):
    write(tmp_path, 5)
    paths = [entry(tmp_path, number) for number in range(5)]
    paths[0].rename(tmp_path / "elsewhere")
    paths[0].symlink_to(tmp_path / "elsewhere")
    for path in paths[1:3]:
        path.unlink()
    os.mkfifo(paths[1])
    paths[2].mkdir()
    with paths[3].open("ab") as file:
        file.truncate(2**20)
    monkeypatch.setattr(log, "_MAX_BYTES", 10**5)
    found = read_log(tmp_path)
    assert (list(found.entries), len(found.damage)) == ([4], 4)
    shutil.move(tmp_path / "log", tmp_path / "moved")
    (tmp_path / "log").symlink_to(tmp_path / "moved")
    assert read_log(tmp_path).entries == {}
    with pytest.raises(DamagedRunError, match="log is a link"):
        LogWriter(tmp_path, RUN)


def test_damaged_files_are_set_aside_and_written_again(tmp_path):
    write(tmp_path, 3)
    whole, path = entries(tmp_path), entry(tmp_path, 1)
    path.write_bytes(b"?")
    writer = LogWriter(tmp_path, RUN)
    writer.set_aside(read_log(tmp_path))
    assert read_log(tmp_path).damage == {}
    writer.append(1, {"text": "a\u2028b"}, {"mass": torch.tensor([1 / 3])})
    writer.close()
    assert entries(tmp_path) == whole
    assert (tmp_path / "log" / f".{path.name}.damaged").read_bytes() == b"?"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_log_as_it_was(tmp_path, monkeypatch, call):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    write(tmp_path, 2)
    before = {path.name for path in (tmp_path / "log").iterdir()}
    writer = LogWriter(tmp_path, RUN)
    monkeypatch.setattr(*((os, call, full) if call == "fsync" else ("pathlib.Path.replace", full)))
    with pytest.raises(OSError, match="No space left on device"):
        writer.append(2, {}, {})
    writer.close()
    assert {path.name for path in (tmp_path / "log").iterdir()} == before


def test_a_log_has_one_writer(tmp_path):
    writer = LogWriter(tmp_path, RUN)
    with pytest.raises(BlockingIOError, match="Expected no other process to write to the run"):
        LogWriter(tmp_path, RUN)
    writer.close()
    LogWriter(tmp_path, RUN).close()
