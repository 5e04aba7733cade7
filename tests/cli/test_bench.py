"""`rh-lens bench`: the table is printed whatever becomes of its file, and goes on after a kill."""

import errno
import json

import pandas as pd
import pytest

from rh_lens import bench as timings
from rh_lens.bench import Agreement, ConditionsRow, FindingRow, Row, TimedRows
from rh_lens.cli import bench, main
from rh_lens.runs import reserve_file


def row(length):
    return Row("bundled", "accepted", length, "a", 10, length / 3, (0.5, 1.0, 2.0), None, True)


FINDING = [
    FindingRow("bundled", "generate", 600, 30, 681600, 120.0, 1.0, None),
    FindingRow("bundled", "packed, enough", 12, 12, 1250, 0.5, 0.1, Agreement(0.9, 4, 3, 4)),
]
FORKS = ConditionsRow("bundled", "accepted", 2016, 20, 1 / 3, (1.0, 1.5, 2.0))


@pytest.fixture
def timed(monkeypatch):
    """Lengths that were timed: made up, three of them."""
    lengths = []

    def run(*arguments, done, **options):
        for length in {1, 2, 3} - {one.context_length for one in done}:
            lengths.append(length)
            yield [row(length)]

    monkeypatch.setattr(timings, "run_benchmark", run)
    monkeypatch.setattr(
        timings, "benchmark_conditions", lambda *args, done, **options: [] if done else [FORKS]
    )
    monkeypatch.setattr(
        timings, "benchmark_finding", lambda *args, done, **options: [] if done else [FINDING]
    )
    return lengths


def test_the_table_is_saved_and_printed(timed, tmp_path, capsys):
    assert main(["bench", "--out", str(tmp_path / "bench.csv")]) == 0
    table = pd.read_csv(tmp_path / "bench.csv")
    assert table["tokens"].tolist() == [1, 2, 3]
    assert table["time / (a)"].tolist() == ["1.00 (0.50-2.00)"] * 3
    printed = capsys.readouterr().out
    assert "bundled" in printed
    assert "3 of 4, 1 other" in printed


def test_the_times_are_there_for_programs(timed, capsys):
    assert main(["bench", "--json", "--quick"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["context_length"] for one in found["rows"]] == [1, 2, 3]
    assert found["rows"][2]["seconds"] == 1.0
    assert found["quick"] is True
    assert len(found["conditions"]) == 1
    assert [one["same"] for one in found["finding"]] == [None, False]
    assert found["finding"][1]["agreement"]["correlation"] == 0.9


def test_after_a_kill_nothing_is_timed_again(timed, tmp_path, monkeypatch, capsys):
    out, save = tmp_path / "bench.csv", bench._save

    def save_and_be_killed(*arguments):
        save(*arguments)
        if len(timed) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bench, "_save", save_and_be_killed)
        assert main(["bench", "--out", str(out)]) == 130
    assert main(["bench", "--out", str(out)]) == 0
    assert "2 rows are in " in capsys.readouterr().err
    assert timed == [1, 2, 3]
    assert main(["bench", "--out", str(out)]) == 0
    assert timed == [1, 2, 3]
    assert pd.read_csv(out)["tokens"].tolist() == [1, 2, 3]
    key = json.loads((tmp_path / "bench.csv.json").read_text())["key"]
    timed_rows = timings.read_timed_rows(tmp_path / "bench.csv.json", key)
    assert timed_rows == TimedRows((row(1), row(2), row(3)), (FORKS,), tuple(FINDING))


def test_times_of_another_benchmark_are_not_mixed_in(timed, tmp_path, capsys):
    out = tmp_path / "bench.csv"
    assert main(["bench", "--out", str(out)]) == 0
    assert main(["bench", "--repeats", "2", "--out", str(out)]) == 2
    assert "differs in repeats: 3 there, 2 here. Remove it, or name" in capsys.readouterr().err
    (tmp_path / "bench.csv.json").write_text("[" * 10_000)
    assert main(["bench", "--out", str(out)]) == 2
    assert "found what can't be read (RecursionError" in capsys.readouterr().err
    assert timed == [1, 2, 3]


def test_what_is_impossible_is_said_before_anything_is_timed(timed, tmp_path, capsys):
    assert main(["bench", "--out", str(tmp_path / "nowhere" / "bench.csv")]) == 2
    assert "it is impossible: No such file or directory" in capsys.readouterr().err
    with reserve_file(tmp_path / "bench.csv"):
        assert main(["bench", "--out", str(tmp_path / "bench.csv")]) == 2
    assert "Expected no other process" in capsys.readouterr().err
    assert timed == []


def test_on_a_full_disk_all_is_timed_and_printed_then_the_error(
    timed, tmp_path, monkeypatch, capsys
):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bench, "_save", full)
    assert main(["bench", "--out", str(tmp_path / "bench.csv")]) == 2
    printed, error = capsys.readouterr()
    assert timed == [1, 2, 3]
    assert printed.count("bundled") == 6
    assert "found: no space left on device" in error
