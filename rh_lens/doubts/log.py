"""Doubts kept in a folder as they are settled, so that a checklist can go on."""

import json
from collections.abc import Mapping
from dataclasses import fields
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd

from rh_lens.checks import require_type
from rh_lens.doubts.verdicts import Checklist, Doubt
from rh_lens.files import read_bytes, replacing, usable_path, write_json

DOUBTS_FILE = "doubts.json"
"""Name of the file: the case's key, and the doubts that are settled."""


class DoubtLog:
    """Doubts of one case in a folder; those of another case there are refused.

    Args:
        folder: Where; it must exist.
        key: What the doubts are of, as JSON values: weights, prompts, heads.

    Raises:
        OSError: The folder can't be read.
        TypeError: The key is no mapping.
        ValueError: The folder holds doubts of another case, or a damaged file.
    """

    def __init__(self, folder: str | Path, key: Mapping[str, Any]) -> None:
        self.folder = usable_path("folder", folder)
        require_type("key", key, Mapping, remedy="Pass what the doubts are of, by name.")
        self.key: dict[str, Any] = json.loads(json.dumps(dict(key)))
        self.doubts: dict[str, Doubt] = {}
        if (self.folder / DOUBTS_FILE).exists():
            self.doubts = {one.name: one for one in self._read()}

    def __repr__(self) -> str:
        return f"DoubtLog({str(self.folder)!r}: {len(self.doubts)} settled)"

    def add(self, doubt: Doubt) -> None:
        """Keep one more; the file is replaced at once.

        Raises:
            OSError: It can't be written.
            TypeError: It is no doubt.
        """
        require_type("doubt", doubt, Doubt)
        self.doubts[doubt.name] = doubt
        rows = [{**one.row(), "table": _as_json(one.table)} for one in self.doubts.values()]
        write_json(self.folder / DOUBTS_FILE, {"key": self.key, "doubts": rows})

    def write_tables(self, checklist: Checklist) -> None:
        """Write the checklist and the table of each doubt as CSV files.

        Raises:
            OSError: A file can't be written.
            TypeError: It is no checklist.
        """
        require_type("checklist", checklist, Checklist)
        tables = {"checklist": checklist.to_dataframe()}
        tables |= {one.name.replace(" ", "-"): one.table for one in checklist.doubts}
        for name, table in tables.items():
            with replacing(self.folder / f"{name}.csv") as temporary:
                table.to_csv(temporary, index=False)

    def _read(self) -> list[Doubt]:
        path = self.folder / DOUBTS_FILE
        try:
            found = json.loads(path.read_text("utf-8"))
            key, rows = found["key"], found["doubts"]
            doubts = [_doubt(row) for row in rows]
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(
                f"Expected doubts as this command writes them in {path}; found "
                f"{type(error).__name__}: {str(error)[:100]}. Name another folder with --out."
            ) from error
        if key != self.key:
            other = [name for name in self.key if key.get(name) != self.key[name]]
            raise ValueError(
                f"Expected {path} to hold doubts of this case; found one with another "
                f"{', '.join(other) or 'key'}. Name another folder with --out."
            )
        return doubts


def load_checklist(folder: str | Path) -> Checklist:
    """The doubts that are settled in a folder.

    Args:
        folder: Where `DoubtLog`, or `rh-lens doubt`, has written.

    Raises:
        OSError: There is none, or it can't be read.
        TypeError: It is no path.
        ValueError: The file is no such one.

    Examples:
        >>> short = {"context_length": 128, "n_depths": 1}
        >>> case = doubt_case(model, heads, needles=evaluation_needles()[:3], **short)
        >>> log = DoubtLog(".", {"model": "bundled"})
        >>> found = run_doubts(case, ["shuffled labels"], on_doubt=log.add)
        >>> [doubt.name for doubt in load_checklist(".").doubts]
        ['shuffled labels']
    """
    path = usable_path("folder", folder) / DOUBTS_FILE
    try:
        rows = json.loads(read_bytes(path))["doubts"]
        return Checklist(tuple(_doubt(row) for row in rows))
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(
            f"Expected folder to hold doubts as rh-lens doubt writes them; found {path}, which "
            f"can't be read as such ({type(error).__name__}: {str(error)[:100]}). Settle them anew."
        ) from error


def _as_json(table: pd.DataFrame) -> str:
    return str(table.to_json(orient="split", double_precision=12))


def _doubt(row: Mapping[str, Any]) -> Doubt:
    names = {one.name for one in fields(Doubt)} - {"table"}
    values = {name: row[name] for name in names}
    table = pd.read_json(StringIO(row["table"]), orient="split", convert_axes=False)
    return Doubt(**values, table=table)
