"""What `rh-lens compress` and `rh-lens rank` have written, read back."""

import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from rh_lens.checks import shown
from rh_lens.files import read_plain_file, usable_path

_MAX_BYTES = 1 << 26
_RECALL = {"recall", "recall_low", "recall_high"}
_TABLES: dict[str, tuple[str, set[str]]] = {
    "compress": ("curve.csv", {"strategy", "share", "n_bytes", "of_full", "perplexity"} | _RECALL),
    "rank": ("ranking.csv", {"method", "ndcg", "ndcg_low", "ndcg_high"}),
}
USE_TABLES = {command: name for command, (name, _) in _TABLES.items()}
"""The table of each command that puts heads to use, by the command."""


@dataclass(frozen=True, eq=False)
class StoredUse:
    """What a folder of a command that puts heads to use holds.

    Args:
        path: The folder.
        command: "compress" or "rank".
        description: Its `run.json`.
        table: Its summary.
    """

    path: Path
    command: str
    description: dict[str, Any]
    table: pd.DataFrame

    def __repr__(self) -> str:
        return f"StoredUse({str(self.path)!r}: rh-lens {self.command}, {len(self.table)} rows)"


def load_use(folder: str | Path) -> StoredUse:
    """The summary of `rh-lens compress` or `rh-lens rank`, from its folder.

    Raises:
        FileNotFoundError: There is none.
        OSError: A file can't be read.
        TypeError: It is no path.
        ValueError: It is something else, or a file is not as it was written.

    Examples:
        >>> import io
        >>> from contextlib import redirect_stdout
        >>> from rh_lens.cli import main
        >>> write_head_scores(scores, "scores.json")
        >>> with redirect_stdout(io.StringIO()):
        ...     choices = "--passages 2 --limit 1 --controls 0 --out ranked"
        ...     _ = main(f"rank scores.json {choices}".split())
        >>> load_use("ranked").command
        'rank'
    """
    path = usable_path("folder", folder)
    where, remedy = shown(str(path), 200), "Run rh-lens compress or rh-lens rank again."
    try:
        description = json.loads(read_plain_file(path / "run.json", at_most=_MAX_BYTES))
        command = description["command"] if isinstance(description, dict) else None
        if command not in _TABLES:
            raise ValueError(f"run.json names the command {shown(command)}")
        name, columns = _TABLES[command]
        table = pd.read_csv(BytesIO(read_plain_file(path / name, at_most=_MAX_BYTES)))
        if missing := columns - set(table.columns):
            raise ValueError(f"{name} has no column {min(missing)}")
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"Expected the folder of a command that puts heads to use; found no "
            f"{shown(Path(error.filename).name)} in {where}. {remedy}"
        ) from None
    except (ValueError, KeyError, RecursionError) as error:
        raise ValueError(
            f"Expected the folder of a command that puts heads to use; found {where}, which can't "
            f"be read as one ({str(error)[:200]}). {remedy}"
        ) from None
    return StoredUse(path, command, description, table)
