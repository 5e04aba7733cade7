import hashlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rh_lens.prompts import (
    Haystack,
    dataset_haystack,
    file_haystack,
    folder_haystack,
    load_haystack,
    pydoc_haystack,
    synthetic_haystack,
    text_haystack,
)


def test_text_is_the_documents_on_lines_of_their_own():
    assert text_haystack([" One. ", "", "Two."]).text == "One.\nTwo."


def test_hash_and_equality_know_the_text_but_not_the_name():
    one, other = text_haystack(["Rain.", "Sun."], name="a"), text_haystack(["Rain.", "Sun."])
    assert one == other
    assert hash(one) == hash(other)
    assert one.sha256 == other.sha256 == hashlib.sha256(b"Rain.\nSun.").hexdigest()
    assert one.sha256 != text_haystack(["Rain.", "Son."]).sha256


@pytest.mark.parametrize("documents", [(), ("One.", " ")])
def test_haystacks_without_text_are_refused(documents: tuple[str, ...]):
    with pytest.raises(ValueError, match="Expected a haystack of non-blank documents"):
        Haystack("none", documents)


def test_texts_must_be_a_list_of_strings_and_not_all_blank():
    with pytest.raises(TypeError, match=r"found 'Rain\.'.* Pass \[text, \.\.\.\]"):
        text_haystack("Rain.")
    with pytest.raises(TypeError, match=r"found 3 \(int\) at place 1"):
        text_haystack(iter(["Rain.", 3]))
    with pytest.raises(ValueError, match="found 2, all of them blank"):
        text_haystack(["", "\n"])


def test_synthetic_text_depends_on_the_seed_only():
    one = synthetic_haystack(seed=3, n_sentences=50)
    assert one == synthetic_haystack(seed=3, n_sentences=50)
    assert one != synthetic_haystack(seed=4, n_sentences=50)
    assert one.name == "synthetic-seed3"


def test_folder_reads_matching_files_in_order_of_their_names(tmp_path: Path):
    (tmp_path / "b.txt").write_bytes(b"Second.\r\nLine.\r\n")
    (tmp_path / "a.txt").write_text("\ufeffFirst.", encoding="utf-8")
    (tmp_path / "notes.md").write_text("Not read.")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c.txt").write_text("Third.")
    assert folder_haystack(tmp_path).documents == ("First.", "Second.\nLine.")
    assert folder_haystack(tmp_path, pattern="**/*.txt").documents[-1] == "Third."
    assert folder_haystack(tmp_path).name == tmp_path.name


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"caf\xe9", r"UTF-8 text in .*bad\.txt'; found .* at byte 3"),
        (b"abc\0def", r"text in .*bad\.txt'; found a NUL character at 3"),
        (b" \n", r"text in .*bad\.txt'; found 2 characters, all blank"),
    ],
)
def test_files_that_are_not_text_are_named(tmp_path: Path, content: bytes, found: str):
    (tmp_path / "a.txt").write_text("Fine.")
    (tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(ValueError, match=found):
        folder_haystack(tmp_path)


def test_missing_folders_files_and_matches_are_refused(tmp_path: Path):
    with pytest.raises(NotADirectoryError, match=r"found no folder at .*none"):
        folder_haystack(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"found no file at .*none"):
        file_haystack(tmp_path / "none")
    (tmp_path / "notes.md").write_text("Text.")
    with pytest.raises(
        ValueError, match=r"match pattern '\*\.txt' in .* found none among 1 entries"
    ):
        folder_haystack(tmp_path)


def test_load_haystack_knows_every_source(tmp_path: Path):
    (tmp_path / "a.txt").write_text("One.")
    assert load_haystack("synthetic", seed=2) == synthetic_haystack(seed=2)
    assert load_haystack("pydoc") == pydoc_haystack()
    assert load_haystack(str(tmp_path)) == load_haystack(str(tmp_path / "a.txt"))
    assert load_haystack(str(tmp_path / "a.txt")).name == "a.txt"
    with pytest.raises(ValueError, match="found 'pydocs', and no such folder or file"):
        load_haystack("pydocs")


def fake_datasets(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, object]]) -> list[object]:
    calls: list[object] = []

    def load_dataset(name: str, config: str | None, **options: object) -> list[dict[str, object]]:
        calls.append((name, config, options))
        return rows

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    return calls


def test_dataset_reads_one_column_at_one_revision(monkeypatch: pytest.MonkeyPatch):
    calls = fake_datasets(monkeypatch, [{"text": "One."}, {"text": "Two."}, {"text": "Three."}])
    haystack = dataset_haystack("me/books", column="text", revision="ab12", max_documents=2)
    assert haystack.documents == ("One.", "Two.")
    assert haystack.name == "hf:me/books:text@ab12"
    assert calls == [
        ("me/books", None, {"split": "train", "revision": "ab12", "streaming": True}),
    ]
    assert load_haystack("hf:me/books:text@ab12").documents == ("One.", "Two.", "Three.")


def test_dataset_column_must_be_text(monkeypatch: pytest.MonkeyPatch):
    fake_datasets(monkeypatch, [{"text": "One.", "year": 1999}])
    with pytest.raises(ValueError, match=r"column 'body' .* \{'text': 'str', 'year': 'int'\}"):
        dataset_haystack("me/books", column="body", revision="ab12")
    with pytest.raises(ValueError, match="column 'year'"):
        dataset_haystack("me/books", column="year", revision="ab12")


@pytest.mark.parametrize("revision", [None, "", "main"])
def test_dataset_needs_a_pinned_revision(revision: str | None):
    with pytest.raises(
        ValueError, match=f"pinned revision of dataset 'me/books'; found {revision!r}"
    ):
        dataset_haystack("me/books", column="text", revision=revision)


def test_hub_string_is_explained_when_incomplete():
    with pytest.raises(ValueError, match="Expected hf:owner/name:column@revision; found 'hf:me/b'"):
        load_haystack("hf:me/b")
    with pytest.raises(ValueError, match="pinned revision of dataset 'me/b'; found ''"):
        load_haystack("hf:me/b:text")


def test_missing_datasets_package_is_explained(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r'pip install "rh-lens\[data\]"'):
        dataset_haystack("me/books", column="text", revision="ab12")
