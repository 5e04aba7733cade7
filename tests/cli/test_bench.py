"""`rh-lens bench`: the table is printed whatever becomes of its file."""

import errno

import pandas as pd
import pytest

from rh_lens import bench as timings
from rh_lens.cli import bench, main
from rh_lens.runs import reserve_file

TABLE = pd.DataFrame({"model": ["bundled"], "seconds": [1.5]})


@pytest.fixture
def timed(monkeypatch):
    """Cells that were timed: made up, three of them."""
    cells = []

    def run(*arguments, **options):
        for number in range(3):
            cells.append(number)
            yield [number]

    monkeypatch.setattr(timings, "run_benchmark", run)
    monkeypatch.setattr(timings, "benchmark_conditions", lambda *arguments, **options: [])
    monkeypatch.setattr(timings, "to_dataframe", lambda rows: TABLE)
    monkeypatch.setattr(timings, "conditions_table", lambda rows: TABLE)
    return cells


def test_the_table_is_saved_and_printed(timed, tmp_path, capsys):
    assert main(["bench", "--out", str(tmp_path / "bench.csv")]) == 0
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "bench.csv"), TABLE)
    assert "bundled" in capsys.readouterr().out


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
    def full(table, path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bench, "_save", full)
    assert main(["bench", "--out", str(tmp_path / "bench.csv")]) == 2
    printed, error = capsys.readouterr()
    assert timed == [0, 1, 2]
    assert printed.count("bundled") == 2
    assert "found: no space left on device" in error
