"""A finished ablation, read back."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import pandas_dtype

from rh_lens.checks import shown
from rh_lens.evaluation import AblationTables
from rh_lens.files import usable_path
from rh_lens.heads import Head
from rh_lens.runs.ablation_folder import read_ablation_description


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
        FileExistsError: The folder holds something else.
        FileNotFoundError: There is no ablation, or one of its tables is missing.
        OSError: No folder can have this name.
        TypeError: It is no path.
        ValueError: It is not finished, the path is empty, or `run.json` or a table can't be read.
    """
    folder = usable_path("folder", folder)
    description = read_ablation_description(folder)
    if description is None:
        raise FileNotFoundError(
            f"Expected an ablation in {str(folder)!r}; found none. Give the --out of rh-lens "
            "ablate."
        )
    if (status := description.get("status")) != "finished":
        raise ValueError(
            f"Expected a finished ablation in {str(folder)!r}; found one that is "
            f"{shown(status)}, with {description.get('n_answers', 0)} answers. Go on "
            "with the command that began it."
        )
    tables = {
        name: _read_table(folder / f"{name}.csv", dtypes)
        for name, dtypes in _dtypes(folder, description).items()
    }
    return StoredAblation(folder, description, AblationTables(**tables))


def _read_table(path: Path, dtypes: dict[str, str]) -> pd.DataFrame:
    """A table with the types that its columns had."""
    # As text first: an empty answer, or the answer "None", is no missing value.
    try:
        texts = pd.read_csv(path, dtype=str, keep_default_na=False)
        return pd.DataFrame({name: _column(texts[name], dtype) for name, dtype in dtypes.items()})
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"Expected the table {path.name} of an ablation; found no file at "
            f"{shown(str(path), 300)}. Repeat the command: it goes on from the answers."
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"Expected the table {path.name} as it was written; found another at "
            f"{shown(str(path), 300)}: {str(error)[:200]}. Repeat the command: it writes it anew."
        ) from error


def _dtypes(folder: Path, description: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The types of the columns of each table."""
    found = description.get("dtypes")
    names = {field.name for field in fields(AblationTables)}
    if (
        not isinstance(found, dict)
        or not {"curve"} <= found.keys() <= names
        or not all(isinstance(one, dict) for one in found.values())
    ):
        raise ValueError(
            f"Expected run.json in {shown(str(folder), 300)} to have the types of the tables' "
            f"columns; found {shown(found)}. Repeat the command: it goes on from the answers."
        )
    return found


def _column(texts: pd.Series, dtype: str) -> pd.Series:
    if dtype in ("str", "object"):
        return texts
    missing = texts == ""
    if dtype == "string":
        return texts.astype("string").mask(missing)
    if dtype == "bool":
        return texts == "True"
    return pd.to_numeric(texts.mask(missing)).astype(pandas_dtype(dtype))
