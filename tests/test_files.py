import pytest

from rh_lens.files import file_sha256, replacing, write_json


def test_a_file_is_replaced_at_once_or_not_at_all(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"

    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_half()
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["scores.csv"]


def test_a_hash_is_that_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_json_is_written_for_people(tmp_path):
    write_json(tmp_path / "run.json", {"name": "말"})
    assert (tmp_path / "run.json").read_text("utf-8") == '{\n  "name": "말"\n}\n'
