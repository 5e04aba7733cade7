"""What a command reads is not written over by what it saves."""

from collections.abc import Sequence
from pathlib import Path


def require_not_an_input(out: Path, inputs: Sequence[Path]) -> None:
    """Refuse to save over a file that is read: one of the inputs, or of a run folder among them.

    Raises:
        FileExistsError: The file is, under this name or another.
    """
    from rh_lens.runs import RUN_FILES

    names = (*RUN_FILES, "full_attention_heads.tsv")
    for path in inputs:
        files = [path / name for name in names] if path.is_dir() else [path]
        files += (path / "log").glob("*")
        for file in files:
            if out.resolve() == file.resolve() or (
                out.exists() and file.exists() and out.samefile(file)
            ):
                raise FileExistsError(
                    f"Expected --out to name a file that is not read; found {str(out)!r}, which "
                    f"belongs to {str(path)!r}. Choose another name."
                )
