import errno
import json
import random

import pytest
from stored_runs import LOGS

from rh_lens.runs import log
from rh_lens.runs.log import LogWriter, read_log, write_log

RUN = "0123456789abcdef"
WHAT = {"key": {"score": "말"}}


def write(folder, n_trials):
    writer = LogWriter(folder, RUN)
    writer.begin(WHAT)
    for trial in range(n_trials):
        writer.append({"trial": trial, "text": "a\u2028b"}, {"trial": trial, "n": 1.5})
    writer.close()
    return {name: (folder / name).read_bytes() for name in LOGS}


def read(folder, *, is_over=False):
    return read_log(folder, run=RUN, is_over=is_over)


def test_what_was_appended_is_read_in_its_order(tmp_path):
    write(tmp_path, 3)
    found = read(tmp_path, is_over=True)
    assert list(found.entries) == [0, 1, 2]
    assert found.entries[1].record == {"trial": 1, "text": "a\u2028b"}
    assert found.entries[1].heads == {"trial": 1, "n": 1.5}
    assert found.damage == ()


def test_each_file_is_plain_json_lines(tmp_path):
    write(tmp_path, 2)
    for name in LOGS:
        lines = (tmp_path / name).read_text(encoding="utf-8").split("\n")
        if name == "heads.jsonl":
            assert json.loads(lines.pop(0))["description"] == WHAT
        assert [json.loads(line)["trial"] for line in lines[:-1]] == [0, 1]


def test_a_process_may_be_killed_at_any_byte(tmp_path):
    """Trial k is written as heads[k], then trials[k]: it counts from its last byte on."""
    whole = write(tmp_path, 2)
    before = {"trials.jsonl": 0, "heads.jsonl": whole["heads.jsonl"].index(b"\n") + 1}
    moments = [(0, n) for n in range(before["heads.jsonl"])]
    for _ in range(2):
        after = {name: whole[name].index(b"\n", before[name]) + 1 for name in LOGS}
        moments += [(before["trials.jsonl"], n) for n in _range("heads.jsonl", before, after)]
        moments += [(n, after["heads.jsonl"]) for n in _range("trials.jsonl", before, after)]
        before = after
    assert len(moments) == sum(len(data) for data in whole.values())
    for n_trials, n_heads in moments:
        (tmp_path / "trials.jsonl").write_bytes(whole["trials.jsonl"][:n_trials])
        (tmp_path / "heads.jsonl").write_bytes(whole["heads.jsonl"][:n_heads])
        found = read(tmp_path)
        assert found.damage == ()
        assert len(found.entries) == whole["trials.jsonl"][:n_trials].count(b"\n")


def _range(name, before, after):
    return range(before[name], after[name])


def test_going_on_cuts_away_what_was_under_way(tmp_path):
    whole = write(tmp_path, 3)
    (tmp_path / "trials.jsonl").write_bytes(whole["trials.jsonl"][:-5])
    writer = LogWriter(tmp_path, RUN)
    writer.cut_back(read(tmp_path))
    writer.append({"trial": 2, "text": "a\u2028b"}, {"trial": 2, "n": 1.5})
    writer.close()
    assert {name: (tmp_path / name).read_bytes() for name in LOGS} == whole


@pytest.mark.parametrize("is_over", [False, True])
def test_a_flipped_byte_is_never_taken_for_a_trial(tmp_path, is_over):
    whole = write(tmp_path, 4)
    rng = random.Random(0)
    for name in LOGS:
        for _ in range(60):
            place = rng.randrange(len(whole[name]))
            broken = bytearray(whole[name])
            broken[place] ^= 1 << rng.randrange(8)
            for other in LOGS:
                (tmp_path / other).write_bytes(bytes(broken) if other == name else whole[other])
            found = read(tmp_path, is_over=is_over)
            line = whole[name][:place].count(b"\n") - (name == "heads.jsonl")
            assert set(found.entries) >= {0, 1, 2, 3} - {line, line + 1}
            is_end = place == len(whole[name]) - 1
            assert found.damage or (is_end and not is_over)
            assert len(found.entries) == 4 or line not in found.entries or is_end


def test_damage_is_told_with_its_line(tmp_path):
    whole = write(tmp_path, 3)
    lines = whole["trials.jsonl"].split(b"\n")
    lines[1] = b"\0" * 40
    (tmp_path / "trials.jsonl").write_bytes(b"\n".join(lines))
    found = read(tmp_path)
    assert found.damage == ("trials.jsonl, line 2: broken, or of another run",)
    assert list(found.entries) == [0, 2]
    (tmp_path / "trials.jsonl").write_bytes(whole["trials.jsonl"])
    lines = whole["heads.jsonl"].split(b"\n")
    (tmp_path / "heads.jsonl").write_bytes(b"\n".join([lines[0], *lines[2:]]))
    assert read(tmp_path).damage == (
        "trials.jsonl, line 1: trial 0 has no whole line in heads.jsonl",
    )


def test_a_trial_counts_once_and_only_in_its_run(tmp_path):
    whole = write(tmp_path, 2)
    for name in LOGS:
        first = whole[name].split(b"\n")[name == "heads.jsonl"] + b"\n"
        (tmp_path / name).write_bytes(whole[name] + first)
    found = read(tmp_path)
    assert found.damage == ("trials.jsonl, line 3: trial 0 a second time; the first counts",)
    assert len(found.entries) == 2
    assert read_log(tmp_path, run="another", is_over=False).entries == {}
    assert len(read_log(tmp_path, run=None, is_over=False).entries) == 2


def test_lost_lines_are_no_trial_under_way(tmp_path):
    """Of one file alone a process that is killed leaves one line more, not two."""
    whole = write(tmp_path, 3)
    lines = whole["trials.jsonl"].split(b"\n")
    (tmp_path / "trials.jsonl").write_bytes(b"\n".join([*lines[:2], b""]))
    assert read(tmp_path).damage == ()
    assert "the second has 1 more whole lines" in read(tmp_path, is_over=True).damage[0]
    (tmp_path / "trials.jsonl").write_bytes(b"\n".join([*lines[:1], b""]))
    assert "the second has 2 more whole lines" in read(tmp_path).damage[0]


@pytest.mark.parametrize("n_whole", [0, 1])
def test_a_full_disk_leaves_the_log_as_it_was(tmp_path, monkeypatch, n_whole):
    whole = write(tmp_path, 2)
    writes = log._write
    calls = []

    def fill_the_disk(file, line):
        calls.append(line)
        if len(calls) <= n_whole:
            return writes(file, line)
        file.write(line[: len(line) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = LogWriter(tmp_path, RUN)
    monkeypatch.setattr(log, "_write", fill_the_disk)
    with pytest.raises(OSError, match="No space left on device"):
        writer.append({"trial": 2}, {"trial": 2})
    writer.close()
    assert {name: (tmp_path / name).read_bytes() for name in LOGS} == whole


def test_a_log_has_one_writer(tmp_path):
    writer = LogWriter(tmp_path, RUN)
    with pytest.raises(BlockingIOError, match="Expected no other process to write to the run"):
        LogWriter(tmp_path, RUN)
    writer.close()
    LogWriter(tmp_path, RUN).close()


def test_a_log_is_copied_line_by_line(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    whole = write(tmp_path / "one", 3)
    entries = read(tmp_path / "one").entries
    write_log(tmp_path / "two", RUN, WHAT, [entries[index] for index in (2, 0)])
    assert list(read(tmp_path / "two", is_over=True).entries) == [2, 0]
    lines = whole["heads.jsonl"].split(b"\n")
    expected = b"\n".join([lines[0], lines[3], lines[1], b""])
    assert (tmp_path / "two/heads.jsonl").read_bytes() == expected
