"""Texts to hide a needle in."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from rh_lens.prompts.dataset_text import dataset_texts
from rh_lens.prompts.pydoc_prose import pydoc_topics
from rh_lens.prompts.synthetic import write_prose
from rh_lens.representation import cut


@dataclass(frozen=True)
class Haystack:
    """Documents that are read one after the other, with a newline between them.

    Two haystacks of the same documents are equal, whatever their names.

    Args:
        name: Where the text comes from, for tables and logs.
        documents: The texts in order.

    Raises:
        ValueError: There is no document, or one is blank.
    """

    name: str = field(compare=False)
    documents: tuple[str, ...]

    def __post_init__(self) -> None:
        blank = [index for index, document in enumerate(self.documents) if not document.strip()]
        if blank or not self.documents:
            raise ValueError(
                f"Expected a haystack of non-blank documents; found {len(self.documents)} documents"
                f" in {self.name!r}, blank ones at {blank[:5]}. Leave blank documents out."
            )

    def __repr__(self) -> str:
        n_characters = sum(map(len, self.documents)) + len(self.documents) - 1
        return (
            f"Haystack({self.name!r}: {n_characters} characters, {len(self.documents)} documents: "
            f"{cut(repr(self.documents[0][:200]))})"
        )

    @cached_property
    def text(self) -> str:
        """The documents, joined by newlines."""
        return "\n".join(self.documents)

    @cached_property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of `text` in UTF-8; the name plays no part."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def text_haystack(texts: Iterable[str], *, name: str = "texts") -> Haystack:
    """Haystack of the given texts, stripped; blank ones are left out.

    Raises:
        ValueError: A single string was given, an entry is not text, or all are blank.
    """
    entries = [texts] if isinstance(texts, str) else list(texts)
    wrong = next((entry for entry in entries if not isinstance(entry, str)), None)
    if isinstance(texts, str) or wrong is not None:
        found = "one string" if wrong is None else f"a {type(wrong).__name__} among them"
        raise ValueError(
            f"Expected a list of strings for haystack {name!r}; found {found}. Pass [text, ...]."
        )
    documents = tuple(text.strip() for text in entries if text.strip())
    if not documents:
        raise ValueError(
            f"Expected text for haystack {name!r}; found {len(entries)} texts, all of them blank. "
            "Give at least one that is not."
        )
    return Haystack(name=name, documents=documents)


def synthetic_haystack(*, seed: int = 0, n_sentences: int = 10_000) -> Haystack:
    """Prose written by a seeded generator: the same everywhere, for every tokenizer."""
    return text_haystack(write_prose(seed, n_sentences), name=f"synthetic-seed{seed}")


def pydoc_haystack() -> Haystack:
    """English prose from the documentation that ships with Python.

    The text differs between minor versions of Python: compare `sha256` across machines.
    """
    return text_haystack(pydoc_topics(), name="pydoc")


def file_haystack(path: str | Path) -> Haystack:
    """Haystack of one UTF-8 text file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is blank or is not UTF-8 text.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected a text file; found no file at {str(path)!r}. Check the path."
        )
    return text_haystack([_read_text(path)], name=path.name)


def folder_haystack(path: str | Path, *, pattern: str = "*.txt") -> Haystack:
    """Haystack of a folder's text files, in the order of their names.

    Args:
        path: The folder.
        pattern: Which files; `**/*.txt` looks into subfolders too.

    Raises:
        NotADirectoryError: There is no such folder.
        ValueError: No file matches, or one is blank or is not UTF-8 text (the message says which).
    """
    path = Path(path)
    if not path.is_dir():
        raise NotADirectoryError(
            f"Expected a folder of text files; found no folder at {str(path)!r}. Check the path."
        )
    files = sorted(file for file in path.glob(pattern) if file.is_file())
    if not files:
        raise ValueError(
            f"Expected files that match {pattern!r} in {str(path)!r}; found none among "
            f"{len(list(path.iterdir()))} entries. Give pattern= for other names."
        )
    return text_haystack(map(_read_text, files), name=path.resolve().name)


def dataset_haystack(
    name: str,
    *,
    column: str,
    split: str = "train",
    revision: str | None = None,
    config: str | None = None,
    max_documents: int | None = None,
) -> Haystack:
    """Haystack of a text column of a Hugging Face dataset.

    Args:
        name: The dataset, `owner/name`.
        column: The column that holds the text.
        split: The split to read.
        revision: Commit hash or tag of the dataset. It has no default that works: a run can
            only be repeated when the text can't change.
        config: The dataset's configuration, if it has several.
        max_documents: Read this many rows at most (streamed, not downloaded in full).

    Raises:
        ImportError: `datasets` is not installed.
        ValueError: The revision is not pinned, or the column is missing or is not text.
    """
    texts = dataset_texts(
        name,
        column=column,
        split=split,
        revision=revision,
        config=config,
        max_documents=max_documents,
    )
    return text_haystack(texts, name=f"hf:{name}:{column}@{revision}")


def load_haystack(spec: str, *, seed: int = 0) -> Haystack:
    """Haystack named by one string, as on a command line.

    Args:
        spec: `synthetic`, `pydoc`, a folder, a file, or `hf:owner/name:column@revision`.
        seed: Seed of the synthetic text; the other sources have none.

    Raises:
        ValueError: The string names none of these. Errors of the source itself pass through.
    """
    if spec == "synthetic":
        return synthetic_haystack(seed=seed)
    if spec == "pydoc":
        return pydoc_haystack()
    if spec.startswith("hf:"):
        dataset, _, revision = spec.removeprefix("hf:").partition("@")
        name, _, column = dataset.partition(":")
        if not name or not column:
            raise ValueError(
                f"Expected hf:owner/name:column@revision; found {spec!r}. Name the text column, "
                "and the dataset's commit hash after the @."
            )
        return dataset_haystack(name, column=column, revision=revision)
    if Path(spec).is_dir():
        return folder_haystack(spec)
    if Path(spec).is_file():
        return file_haystack(spec)
    raise ValueError(
        "Expected 'synthetic', 'pydoc', a folder, a file or hf:owner/name:column@revision; found "
        f"{spec!r}, and no such folder or file. Check the spelling or the path."
    )


def _read_text(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"Expected UTF-8 text in {str(file)!r}; found {error.reason} at byte {error.start}. "
            "Convert the file, or leave it out with pattern=."
        ) from error
    if "\0" in text:
        raise ValueError(
            f"Expected text in {str(file)!r}; found a NUL character at {text.index(chr(0))}: a "
            "binary file. Leave it out with pattern=."
        )
    if not text.strip():
        raise ValueError(
            f"Expected text in {str(file)!r}; found {len(text)} characters, all blank. "
            "Fill the file or remove it."
        )
    return text
