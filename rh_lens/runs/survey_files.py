"""A survey of kinds of heads on disk: which heads do what else, beside the retrieval heads."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from rh_lens.checks import require_type, shown
from rh_lens.circuits import HeadOverlap, HeadSurvey
from rh_lens.files import read_plain_file, replacing, usable_path
from rh_lens.runs.run_key import require_description

SURVEY = "survey.json"
_TABLES = ("kinds", "heads", "overlap")
_COLUMNS = {
    "kinds": {"name", "stage", "measures", "source", "top"},
    "heads": {"layer", "head", "label"},
    "overlap": {"a", "b", "statistic", "value", "low", "high", "p", "layer_p", "k"},
}
_MAX_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class StoredSurvey:
    """What a folder of `rh-lens describe` holds.

    Args:
        path: The folder.
        description: Its `survey.json`: model, command, prompts, detectors that were left out.
        kinds: One row a detector, as `HeadSurvey.kinds` has it.
        heads: One row a head and a column for each detector, as `HeadSurvey.to_dataframe` has it.
        overlap: One row a pair of kinds and statistic, as `HeadOverlap.to_dataframe` has it.
    """

    path: Path
    description: dict[str, Any]
    kinds: pd.DataFrame
    heads: pd.DataFrame
    overlap: pd.DataFrame

    def __repr__(self) -> str:
        return (
            f"StoredSurvey({str(self.path)!r}: {len(self.kinds)} kinds of {len(self.heads)} heads)"
        )


def save_survey(
    survey: HeadSurvey,
    overlap: HeadOverlap,
    folder: str | Path,
    description: Mapping[str, Any] | None = None,
) -> Path:
    """Write a survey to a folder: `survey.json`, and its tables as CSV and as Parquet.

    `survey.json` is written last: where it is, all is there.

    Args:
        survey: From `describe_heads`.
        overlap: From `compare_kinds`.
        folder: Made if missing; tables that are there are replaced.
        description: What else `survey.json` is to say; JSON values.

    Returns:
        The folder.

    Raises:
        OSError: Something could not be written.
        TypeError: An argument is of another type.
        ValueError: The path is empty, or `description` is no JSON.

    Examples:
        >>> survey = describe_heads(model, new_prompts[:2], only=["induction", "previous token"])
        >>> overlap = compare_kinds(survey.scores, k=4, n_permutations=50, n_resamples=5)
        >>> save_survey(survey, overlap, "survey").name
        'survey'
    """
    require_type("survey", survey, HeadSurvey, remedy="Take it from describe_heads.")
    require_type("overlap", overlap, HeadOverlap, remedy="Take it from compare_kinds.")
    if description is not None:
        require_description("description", description)
    path = usable_path("folder", folder)
    path.mkdir(parents=True, exist_ok=True)
    (path / SURVEY).unlink(missing_ok=True)
    tables = (survey.kinds(), survey.to_dataframe(), overlap.to_dataframe())
    for name, table in zip(_TABLES, tables, strict=True):
        with replacing(path / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
        with replacing(path / f"{name}.parquet") as temporary:
            table.to_parquet(temporary, index=False)
    whole = {**(description or {}), "left_out": dict(survey.left_out), "k": overlap.k}
    with replacing(path / SURVEY) as temporary:
        temporary.write_text(json.dumps(whole, indent=1, default=str) + "\n", encoding="utf-8")
    return path


def load_survey(folder: str | Path) -> StoredSurvey:
    """A survey from its folder.

    Raises:
        OSError: There is none, or a file can't be read.
        TypeError: It is no path.
        ValueError: A file is not as it was written.

    Examples:
        >>> survey = describe_heads(model, new_prompts[:2], only=["induction", "previous token"])
        >>> overlap = compare_kinds(survey.scores, k=4, n_permutations=50, n_resamples=5)
        >>> folder = save_survey(survey, overlap, "survey")
        >>> load_survey(folder).kinds.columns.tolist()[:2]
        ['name', 'stage']
    """
    path = usable_path("folder", folder)
    try:
        description = json.loads(read_plain_file(path / SURVEY, at_most=_MAX_BYTES))
        tables = {name: _table(path, name) for name in _TABLES}
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"Expected the folder of a survey; found no {shown(Path(error.filename).name)} in "
            f"{shown(str(path), 200)}. Run rh-lens describe."
        ) from None
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"Expected the folder of a survey; found {shown(str(path), 200)}, which can't be read "
            f"as one ({str(error)[:200]}). Run rh-lens describe again."
        ) from None
    if not isinstance(description, dict):
        raise ValueError(
            f"Expected {SURVEY} to hold an object; found {shown(description)} in "
            f"{shown(str(path), 200)}. Run rh-lens describe again."
        )
    return StoredSurvey(path, description, **tables)


def _table(folder: Path, name: str) -> pd.DataFrame:
    content = read_plain_file(folder / f"{name}.parquet", at_most=_MAX_BYTES)
    table = pd.read_parquet(BytesIO(content))
    if missing := _COLUMNS[name] - set(table.columns):
        raise ValueError(f"{name}.parquet has no column {sorted(missing)}")
    return table
