"""Texts to hide a needle in."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from rh_lens.checks import (
    refusal,
    require_list,
    require_path,
    require_seed,
    require_text,
    require_whole_number,
    shown,
)
from rh_lens.prompts.dataset_text import dataset_texts
from rh_lens.prompts.pydoc_prose import pydoc_topics
from rh_lens.prompts.synthetic import write_prose
from rh_lens.prompts.text_file import (
    existing_file,
    is_file,
    is_folder,
    read_text,
    require_characters,
)
from rh_lens.representation import cut

MAX_SENTENCES = 10_000_000
"""Longest synthetic text: more would fill the memory."""
_CONVERT = "Convert the file, or leave it out with pattern=."


@dataclass(frozen=True)
class Haystack:
    """Documents that are read one after the other, with a newline between them.

    Two haystacks of the same documents are equal, whatever their names.

    Args:
        name: Where the text comes from, for tables and logs.
        documents: The texts in order.

    Raises:
        TypeError: The name is no text, or the documents are no list of texts.
        ValueError: There is no document, one is blank, or one holds what is no character.
    """

    name: str = field(compare=False)
    documents: tuple[str, ...]

    def __post_init__(self) -> None:
        require_text("name", self.name)
        object.__setattr__(self, "documents", require_list("documents", self.documents, str))
        blank = [index for index, document in enumerate(self.documents) if not document.strip()]
        if blank or not self.documents:
            raise ValueError(
                f"Expected a haystack of non-blank documents; found {len(self.documents)} documents"
                f" in {shown(self.name)}, blank ones at {blank[:5]}. Leave blank documents out."
            )
        for index, document in enumerate(self.documents):
            require_characters(f"documents[{index}]", document)

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
        TypeError: A single string was given, or an entry is not text.
        ValueError: All texts are blank.

    Examples:
        >>> text_haystack(["It rained all day.", "Nobody came."])
        Haystack('texts': 31 characters, 2 documents: 'It rained all day.')
    """
    require_text("name", name)
    entries = require_list("texts", texts, str, remedy="Pass [text, ...].")
    documents = tuple(text.strip() for text in entries if text.strip())
    if not documents:
        raise ValueError(
            f"Expected texts for haystack {shown(name)}; found {len(entries)}, all of them blank. "
            "Give at least one that is not."
        )
    return Haystack(name=name, documents=documents)


def synthetic_haystack(*, seed: int = 0, n_sentences: int = 10_000) -> Haystack:
    """Prose written by a seeded generator: the same everywhere, for every tokenizer.

    Args:
        seed: Seed of the text.
        n_sentences: Length, at most 10 million.

    Raises:
        TypeError: An argument is no whole number.
        ValueError: An argument is out of range.

    Examples:
        >>> next(iter(synthetic_haystack(seed=0).documents))[:60]
        'In Nutor, a red trumpet stood beside 78 palaces. It was wear'
    """
    require_seed("seed", seed)
    require_whole_number("n_sentences", n_sentences, at_least=1, at_most=MAX_SENTENCES)
    write = _kept_prose if n_sentences <= _MOST_KEPT else _prose
    return write(seed, n_sentences)


def _prose(seed: int, n_sentences: int) -> Haystack:
    return text_haystack(write_prose(seed, n_sentences), name=f"synthetic-seed{seed}")


# Writing the default text takes a third of a second, and a session asks for it again and again.
_MOST_KEPT = 10_000
_kept_prose = lru_cache(maxsize=8)(_prose)


def pydoc_haystack() -> Haystack:
    """English prose from the documentation that ships with Python.

    The text differs between minor versions of Python: compare `sha256` across machines.

    Examples:
        >>> pydoc_haystack().name
        'pydoc'
    """
    return text_haystack(pydoc_topics(), name="pydoc")


def file_haystack(path: str | Path) -> Haystack:
    """Haystack of one UTF-8 text file.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: The path is none.
        ValueError: The path is empty, or the file is blank or is not UTF-8 text.

    Examples:
        >>> from pathlib import Path
        >>> _ = Path("tale.txt").write_text("It rained all day. Nobody came.")
        >>> file_haystack("tale.txt")
        Haystack('tale.txt': 31 characters, 1 documents: 'It rained all day. Nobody came.')
    """
    path = existing_file("a text file", path, remedy="Check the path.")
    return text_haystack([read_text(path, remedy=_CONVERT)], name=path.name)


def folder_haystack(path: str | Path, *, pattern: str = "*.txt") -> Haystack:
    """Haystack of a folder's text files, in the order of their names.

    Args:
        path: The folder.
        pattern: Which files; `**/*.txt` looks into subfolders too.

    Raises:
        NotADirectoryError: There is no such folder.
        TypeError: An argument is of another type.
        ValueError: The pattern is none, no file matches, or one is blank or is not UTF-8 text (the
            message says which).

    Examples:
        >>> from pathlib import Path
        >>> Path("texts").mkdir()
        >>> _ = Path("texts/a.txt").write_text("It rained all day.")
        >>> folder_haystack("texts")
        Haystack('texts': 18 characters, 1 documents: 'It rained all day.')
    """
    path = require_path("path", path)
    require_text("pattern", pattern)
    if not is_folder(path):
        raise NotADirectoryError(
            f"Expected a folder of text files; found no folder at "
            f"{shown(str(path), 300)}. Check the path."
        )
    files = _matching(path, pattern)
    if not files:
        raise ValueError(
            f"Expected files that match pattern {shown(pattern)} in {shown(str(path), 300)}; "
            f"found none among {len(list(path.iterdir()))} entries. Give pattern= for other names."
        )
    texts = [read_text(file, remedy=_CONVERT) for file in files]
    return text_haystack(texts, name=path.resolve().name or str(path))


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
        TypeError: An argument is of another type.
        ValueError: The revision is not pinned, a name is blank, `max_documents` is out of range, or
            the column is missing or is not text.

    Examples:
        >>> dataset_haystack("owner/name", column="text")
        Traceback (most recent call last):
            ...
        ValueError: Expected a pinned revision of dataset 'owner/name'; found None. Give ...
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
        FileNotFoundError: A file went away while it was read.
        TypeError: An argument is of another type.
        ValueError: The string names none of these, or the source is damaged or blank.

    Examples:
        >>> load_haystack("synthetic", seed=1)
        Haystack('synthetic-seed1': 795963 characters, 1989 documents: "The dancer's lamp, who
         had ...e road to Triahaeck passes ")
    """
    require_text("spec", spec)
    require_seed("seed", seed)
    if spec == "synthetic":
        return synthetic_haystack(seed=seed)
    if spec == "pydoc":
        return pydoc_haystack()
    if spec.startswith("hf:"):
        dataset, _, revision = spec.removeprefix("hf:").partition("@")
        name, _, column = dataset.partition(":")
        if not name or not column:
            raise ValueError(
                f"Expected hf:owner/name:column@revision; found {shown(spec)}. Name the text "
                "column, and the dataset's commit hash after the @."
            )
        return dataset_haystack(name, column=column, revision=revision)
    if is_folder(spec):
        return folder_haystack(spec)
    if is_file(spec):
        return file_haystack(spec)
    raise ValueError(
        "Expected 'synthetic', 'pydoc', a folder, a file or hf:owner/name:column@revision; found "
        f"{shown(spec)}, and no such folder or file. Check the spelling or the path."
    )


def _matching(folder: Path, pattern: str) -> list[Path]:
    """Files of a folder that match a pattern, in the order of their names."""
    try:
        return sorted(file for file in folder.glob(pattern) if file.is_file())
    except (NotImplementedError, OSError, ValueError):
        wanted = "one of names inside the folder, such as *.txt"
        raise ValueError(refusal("pattern", wanted, pattern, "Write one like it.")) from None
