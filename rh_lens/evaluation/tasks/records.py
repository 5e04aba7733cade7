"""Records of a data file, one after the other: JSON lines, one JSON array, CSV, or a dataset's."""

import csv
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from rh_lens.checks import found_as, shown
from rh_lens.evaluation.tasks.record import Record
from rh_lens.prompts.text_file import existing_file

Source: TypeAlias = str | Path | Iterable[Mapping[str, Any]]
"""A file, `hf:OWNER/NAME:SPLIT@REVISION` (or `:CONFIG/SPLIT@`), or rows that are there already."""

MAX_LINE = 64_000_000
"""Bytes of a line; SQuAD's training file is one of 42 million."""
MAX_FILE = 90_000_000
"""Bytes of a file that is one JSON value, and so must be read whole."""

_DATASET = re.compile(
    r"hf:(?P<name>[^:@]+):(?:(?P<config>[^:@/]+)/)?(?P<split>[^:@/]+)(?:@(?P<revision>.+))?"
)
_REMEDY = "Give the data file itself, as it was published."


def read_records(source: Source) -> Iterator[Record]:
    """The records of a file of JSON lines, of a JSON array, of a dataset, or of a list.

    Files are read line by line; no line of more than `MAX_LINE` bytes is taken into memory.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: A dataset is named, and `datasets` is not installed.
        TypeError: The source is none.
        ValueError: A line is malformed or too long (the message names file and line), the file is
            blank or HTML, or a dataset's revision is not pinned.
    """
    if isinstance(source, str) and source.startswith("hf:"):
        yield from _dataset(source)
    elif isinstance(source, str | Path):
        yield from _file(source)
    else:
        yield from _rows(source)


def named_by_text(text: str) -> str:
    """A name for a document that has none: its first words, and a hash of all of it."""
    words = " ".join(text.split())[:40]
    return f"{words} ({hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]})"


def read_csv(path: str | Path) -> Iterator[tuple[list[str], str]]:
    """Rows of a CSV file, each with where it stands; blank ones are left out.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: The path is none.
        ValueError: A line is too long or no UTF-8, or the file is blank or HTML.
    """
    file = existing_file("a data file", path, remedy=_REMEDY)
    name, n_rows = shown(str(file), 300), 0
    lines = (line for _, line in _lines(file))
    reader = csv.reader(lines, strict=True)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise ValueError(
                f"Expected CSV in {name}, line {reader.line_num}; found a mistake: {error}. Check "
                "the quotation marks."
            ) from error
        if row is None:
            break
        if any(cell.strip() for cell in row):
            n_rows += 1
            yield row, f"{name}, line {reader.line_num}"
    _require_some(n_rows, name)


def _file(path: str | Path) -> Iterator[Record]:
    """Records of a file: of its one JSON value, or one a line."""
    file = existing_file("a data file", path, remedy=_REMEDY)
    name, n_records = shown(str(file), 300), 0
    for number, line in _lines(file):
        if not line.strip():
            continue
        if not n_records and (line.lstrip()[0] == "[" or line.strip() == "{"):
            yield from _whole(file, name)
            return
        n_records += 1
        yield _object(_json(line, f"{name}, line {number}"), f"{name}, line {number}")
    _require_some(n_records, name)


def _whole(file: Path, name: str) -> Iterator[Record]:
    """Records of a file that is one JSON array, or one object over several lines."""
    if (size := file.stat().st_size) > MAX_FILE:
        raise ValueError(
            f"Expected a JSON file of {MAX_FILE:,} bytes or fewer in {name}; found {size:,}. "
            "Write one record a line."
        )
    content = file.read_bytes()
    try:
        value = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        line = content.count(b"\n", 0, getattr(error, "pos", getattr(error, "start", 0))) + 1
        raise ValueError(
            f"Expected JSON in {name}; found a mistake in line {line}: {_told(error)}. Fetch the "
            "file again."
        ) from error
    entries = value if isinstance(value, list) else [value]
    for place, entry in enumerate(entries):
        yield _object(entry, f"{name}, record {place + 1}" if value is entries else name)
    _require_some(len(entries), name)


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Lines of a UTF-8 file with their numbers."""
    name, number = shown(str(file), 300), 0
    with file.open("rb") as stream:
        while line := stream.readline(MAX_LINE + 1):
            number += 1
            where = f"{name}, line {number}"
            if len(line) > MAX_LINE:
                raise ValueError(
                    f"Expected a line of {MAX_LINE:,} bytes or fewer in {where}; found a longer "
                    "one. Cut the document, or write one record a line."
                )
            if number == 1:
                _require_data(line[:4096], where)
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"Expected UTF-8 in {where}; found {error.reason} at byte {error.start}. Save "
                    "it as UTF-8."
                ) from error


def _require_data(start: bytes, where: str) -> None:
    """Refuse web pages, and files of another kind, by how they begin."""
    begins = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    if begins.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")):
        page = shown(begins.decode("utf-8", "replace"), 60)
        raise ValueError(
            f"Expected data in {where}; found a web page, {page}. Fetch the raw file, not the page "
            "that shows it."
        )
    if start.startswith(b"version https://git-lfs"):
        raise ValueError(
            f"Expected data in {where}; found a pointer of Git LFS. Fetch it with git lfs pull."
        )
    if b"\0" in start:
        raise ValueError(
            f"Expected text in {where}; found a zero byte: a binary file, or UTF-16. Unpack it, or "
            "save it as UTF-8."
        )


def _json(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"Expected a JSON object in {where}; found {shown(line, 60)} ({_told(error)}). Write "
            "one complete object a line."
        ) from error


def _object(entry: Any, where: str) -> Record:
    if not isinstance(entry, Mapping):
        raise ValueError(
            f"Expected a JSON object in {where}; found {found_as(entry)}. Write one complete "
            "object a line."
        )
    return Record(entry, where)


def _told(error: Exception) -> str:
    return str(error).partition(" (char")[0][:200]


def _require_some(n_records: int, name: str) -> None:
    if not n_records:
        raise ValueError(
            f"Expected one record or more in {name}; found none, the file is blank. {_REMEDY}"
        )


def _rows(rows: Any) -> Iterator[Record]:
    """Records of a list of mappings, such as a loaded dataset."""
    if isinstance(rows, Mapping | bytes) or not isinstance(rows, Iterable):
        raise TypeError(
            f"Expected source to be a path, hf:OWNER/NAME:SPLIT@REVISION, or rows; found "
            f"{found_as(rows)}. Name a file."
        )
    n_rows = 0
    for place, row in enumerate(rows):
        n_rows += 1
        yield _object(row, f"row {place} of source")
    _require_some(n_rows, "source")


def _dataset(spec: str) -> Iterator[Record]:
    """Rows of a dataset of the hub, at a pinned revision."""
    found = _DATASET.fullmatch(spec)
    if not found or found["revision"] in (None, "", "main", "master", "HEAD"):
        raise ValueError(
            f"Expected source to be hf:OWNER/NAME:SPLIT@REVISION with a pinned revision; found "
            f"{shown(spec)}. Give the commit hash shown on the dataset's page, so that the items "
            "stay the same."
        )
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise ImportError(
            f"Expected the `datasets` package to read {shown(spec)}; found that it is not "
            'installed. Run: pip install "rh-lens[data]"'
        ) from error
    rows = load_dataset(
        found["name"], found["config"], split=found["split"], revision=found["revision"]
    )
    for place, row in enumerate(rows):
        yield _object(row, f"{shown(spec)}, row {place}")
