import json

import pandas as pd
import pytest

from rh_lens.records import require_new_folder, write_tables

TABLE = pd.DataFrame({"k": [0, 4], "note": ["", "only 1 control set, of 10"]})


def test_tables_come_back_as_they_were(tmp_path):
    folder = tmp_path / "new" / "run"
    write_tables(folder, {"command": "ablate"}, {"curve": TABLE, "heads": TABLE[:1]})
    assert sorted(path.name for path in folder.iterdir()) == ["curve.csv", "heads.csv", "run.json"]
    read = pd.read_csv(folder / "curve.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(read, TABLE, check_dtype=False)
    assert json.loads((folder / "run.json").read_text()) == {
        "status": "finished",
        "command": "ablate",
        "tables": {"curve": 2, "heads": 1},
    }


def test_an_empty_folder_is_used_and_nothing_else_is_left_behind(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    write_tables(folder, {}, {"curve": TABLE})
    assert (folder / "curve.csv").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_used_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "old.csv").write_text("results")
    with pytest.raises(FileExistsError, match="Expected a new or empty folder for the results"):
        write_tables(tmp_path, {}, {"curve": TABLE})
    assert [path.name for path in tmp_path.iterdir()] == ["old.csv"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_text("results")
    with pytest.raises(NotADirectoryError):
        require_new_folder(tmp_path / "run")


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_tables(tmp_path / "run", {"heads": {1, 2}}, {"curve": TABLE})
    with pytest.raises(AttributeError):
        write_tables(tmp_path / "run", {}, {"curve": TABLE, "broken": "no table"})
    assert list(tmp_path.iterdir()) == []
