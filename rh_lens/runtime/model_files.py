"""Files of a model: missing, damaged or not belonging together."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path

from rh_lens.checks import require_path, shown


def require_name(name: object) -> None:
    """Refuse what can be neither a hub name nor a folder with a model.

    Raises:
        FileNotFoundError: It is a path, and there is no folder with a config.json.
        TypeError: It is no text.
    """
    text = str(require_path("model", name))
    is_path = text.count("/") > 1 or text.startswith((".", "~", "/")) or Path(text).exists()
    if is_path and not (Path(text) / "config.json").is_file():
        what = "no config.json in it" if Path(text).is_dir() else "no such folder"
        raise FileNotFoundError(
            f"Expected a folder with a model in Hugging Face's format at {shown(text)}; found "
            f"{what}. Check the path, or name a model of the hub as owner/name."
        )


@contextmanager
def telling_of(name: str | PathLike[str]) -> Iterator[None]:
    """Context in which what loading a model raises says which model, and what to do.

    Raises:
        OSError: There is no such model, or it can't be read.
        ValueError: Its files are damaged or don't belong together.
    """
    try:
        yield
    except Exception as error:
        if str(error).startswith("Expected") or not _is_of_the_files(error):
            raise
        text = shown(" ".join(str(error).split()), 300)
        kind = OSError if isinstance(error, OSError) else ValueError
        raise kind(
            f"Expected a whole model in Hugging Face's format in {shown(fspath(name))}; "
            f"found: {text}. "
            "Check the name, that the hub can be reached, and that config.json, tokenizer and "
            "weights are whole and belong together."
        ) from error


def _is_of_the_files(error: Exception) -> bool:
    """Whether an error tells of the files, not of a mistake in a program or of the memory."""
    if type(error).__name__ == "OutOfMemoryError":
        return False
    of_files = isinstance(error, OSError | ValueError | RuntimeError | KeyError)
    return of_files or type(error).__name__ == "SafetensorError"
