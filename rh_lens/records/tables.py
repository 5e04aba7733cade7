"""Tables of a finished command on disk, beside what they were made with."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd


def write_tables(
    folder: str | Path, description: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]
) -> None:
    """Write `run.json` and one CSV file a table; all of them, or nothing.

    Args:
        folder: A new or empty folder; made if missing.
        description: What goes into `run.json`, JSON values; the tables' names and numbers of rows
            are added.
        tables: Tables by name, without the ending.

    Raises:
        FileExistsError: The folder is not empty.
    """
    folder = require_new_folder(folder)
    rows = {name: len(table) for name, table in tables.items()}
    content = {"status": "finished", **description, "tables": rows}
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the folder, so that the last step is a renaming: a run is there or it is not.
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        new = Path(temporary) / "run"
        new.mkdir()
        (new / "run.json").write_text(
            json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        for name, table in tables.items():
            table.to_csv(new / f"{name}.csv", index=False)
        if folder.exists():
            folder.rmdir()
        new.rename(folder)


def require_new_folder(folder: str | Path) -> Path:
    """The folder, which must be missing or empty; ask before a long run.

    Raises:
        FileExistsError: The folder is not empty.
        NotADirectoryError: There is a file of that name.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(
            f"Expected a new or empty folder for the results; found files in {str(folder)!r}. "
            "Choose another folder, or move the old results away."
        )
    return folder
