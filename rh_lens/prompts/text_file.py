"""Text files in UTF-8, and what is none."""

from pathlib import Path

from rh_lens.checks import require_path, shown


def is_file(path: str | Path) -> bool:
    """Whether there is such a file; also of what can't be a name, such as a long text."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: str | Path) -> bool:
    """Whether there is such a folder; also of what can't be a name, such as a long text."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def existing_file(what: str, path: str | Path, *, remedy: str) -> Path:
    """The path of a file that is there.

    Args:
        what: What is expected, such as "a text file".
        path: What was given.
        remedy: A sentence that says what to do.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: It is no path.
        ValueError: It is empty or holds a zero byte.
    """
    path = require_path("path", path)
    if not is_file(path):
        raise FileNotFoundError(
            f"Expected {what}; found no file at {shown(str(path), 300)}. {remedy}"
        )
    return path


def require_characters(name: str, text: str) -> None:
    """Refuse halves of surrogate pairs, which are no character and have no UTF-8.

    Raises:
        ValueError: The text holds one.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"U+{ord(text[error.start]):04X}"
        raise ValueError(
            f"Expected {name} to be text; found {half}, half of a character, at {error.start}. "
            "Read the text with the encoding that it was written in."
        ) from None


def read_text(file: Path, *, remedy: str) -> str:
    """The text of a file, which is not blank.

    Args:
        file: The file.
        remedy: A sentence that says what to do with one that is no text.

    Raises:
        ValueError: It is not UTF-8, holds a zero byte, or is blank.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"Expected UTF-8 text in {shown(str(file), 300)}; found {error.reason} at byte "
            f"{error.start}. {remedy}"
        ) from error
    if "\0" in text:
        raise ValueError(
            f"Expected text in {shown(str(file), 300)}; found a NUL character at "
            f"{text.index(chr(0))}: a binary file. {remedy}"
        )
    if not text.strip():
        raise ValueError(
            f"Expected text in {shown(str(file), 300)}; found {len(text)} characters, all blank. "
            "Fill the file or remove it."
        )
    return text
