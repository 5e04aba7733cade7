"""A finished ablation, read back."""

from dataclasses import dataclass, fields
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from rh_lens.checks import shown
from rh_lens.evaluation import AblationTables
from rh_lens.files import read_plain_file, usable_path
from rh_lens.heads import Head
from rh_lens.runs.ablation_folder import TABLES
from rh_lens.runs.description import Kind, read_run_folder

_MAX_BYTES = 1 << 32


@dataclass(frozen=True, eq=False)
class StoredAblation:
    """What a folder of `rh-lens ablate` holds.

    Args:
        path: The folder.
        description: Its `run.json`.
        tables: Its tables, with the types that they were written with.
    """

    path: Path
    description: dict[str, Any]
    tables: AblationTables

    def __repr__(self) -> str:
        rows = ", ".join(f"{name} {len(table)}" for name, table in self.tables.by_name().items())
        return f"StoredAblation({str(self.path)!r}; rows: {rows})"

    @property
    def curve(self) -> pd.DataFrame:
        """The curve: one row a K."""
        return self.tables.curve

    @property
    def ranking(self) -> tuple[Head, ...]:
        """The heads whose top K were silenced, best first, as far as the largest K."""
        return tuple(Head.parse(label) for label in self.description["ranking"])


def load_ablation(folder: str | Path) -> StoredAblation:
    """A finished ablation from its folder.

    Args:
        folder: Where `rh-lens ablate`, or `AblationFolder.finish`, has written.

    Raises:
        FileNotFoundError: There is no ablation, or one of its tables is missing.
        OSError: No folder can have this name.
        TypeError: It is no path.
        ValueError: It is something else, or not finished, the path is empty, or `run.json` or a
            table can't be read.

    Examples:
        >>> import io
        >>> from contextlib import redirect_stdout
        >>> from rh_lens.cli import main
        >>> write_head_scores(scores, "scores.json")
        >>> choices = "--lengths 128 --depths 1 --distractors 0 --top 4 --controls 0 --rankings 0"
        >>> with redirect_stdout(io.StringIO()):
        ...     _ = main(f"ablate scores.json {choices} --out ablation".split())
        >>> load_ablation("ablation").tables.curve[["k", "top"]]
           k       top
        0  0  1.000000
        1  4  0.030556
    """
    folder = usable_path("folder", folder)
    description = finished_run(folder, "answers", "ablation")
    written = description.get("tables", {})
    names = [field.name for field in fields(AblationTables) if field.name in written]
    tables = {name: stored_table(folder, name) for name in names}
    return StoredAblation(folder, description, AblationTables(**tables))


def finished_run(folder: Path, kind: Kind, name: str) -> dict[str, Any]:
    """What `run.json` says of a run of answers that is over.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is of another kind, or not finished.
    """
    description = read_run_folder(folder, kind).description
    if (status := description.get("status")) != "finished":
        raise ValueError(
            f"Expected a finished {name} in {str(folder)!r}; found one that is "
            f"{shown(status)}, with {description.get('n_answers', 0)} answers. Go on "
            "with the command that began it."
        )
    return description


def stored_table(folder: Path, name: str) -> pd.DataFrame:
    """A table with the types that its columns had."""
    path = folder / TABLES / f"{name}.parquet"
    try:
        return pd.read_parquet(BytesIO(read_plain_file(path, at_most=_MAX_BYTES)))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"Expected the table {name} of this run; found no file at "
            f"{shown(str(path), 300)}. Repeat the command: it goes on from the answers."
        ) from error
    except (OSError, ValueError) as error:
        raise ValueError(
            f"Expected the table {name} as it was written; found another at "
            f"{shown(str(path), 300)}: {str(error)[:200]}. Repeat the command: it writes it anew."
        ) from error
