"""Texts out of a Hugging Face dataset."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from rh_lens.checks import require_text, require_whole_number, shown

MAX_DOCUMENTS = 1_000_000_000
"""More rows than fit into memory."""
_MOVING_REVISIONS = (None, "", "main", "master", "HEAD")


def dataset_texts(
    name: str,
    *,
    column: str,
    split: str,
    revision: str | None,
    config: str | None = None,
    max_documents: int | None = None,
) -> Iterator[str]:
    """The texts of one column, row by row; streamed if `max_documents` is given.

    Raises:
        ImportError: `datasets` is not installed.
        TypeError: An argument is of another type.
        ValueError: The revision is not pinned, a name is blank, `max_documents` is out of range, or
            the column is missing or is not text.
    """
    texts = {"name": name, "column": column, "split": split, "config": config}
    for argument, text in texts.items():
        if argument != "config" or text is not None:
            require_text(argument, text)
    if revision is not None:
        require_text("revision", revision, blank=True)
    if max_documents is not None:
        require_whole_number("max_documents", max_documents, at_least=1, at_most=MAX_DOCUMENTS)
    if revision in _MOVING_REVISIONS:
        raise ValueError(
            f"Expected a pinned revision of dataset {shown(name)}; found {shown(revision)}. Give "
            "the commit hash shown on the dataset's page, so that the text stays the same."
        )
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise ImportError(
            f"Expected the `datasets` package to read dataset {name!r}; found that it is not "
            'installed. Run: pip install "rh-lens[data]"'
        ) from error
    streaming = max_documents is not None
    rows = load_dataset(name, config, split=split, revision=revision, streaming=streaming)
    return (_text(row, column, name) for row in islice(rows, max_documents))


def _text(row: dict[str, Any], column: str, name: str) -> str:
    value = row.get(column)
    if not isinstance(value, str):
        types = {key: type(entry).__name__ for key, entry in row.items()}
        raise ValueError(
            f"Expected text in column {column!r} of dataset {name!r}; found columns {types}. "
            "Choose one of type str."
        )
    return value
