"""The files of a finished run that are made from its log."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rh_lens.detection import CopyEvents, RetrievalResult
from rh_lens.files import file_sha256, replacing
from rh_lens.formats.published import write_head_scores

TRIALS, EVENTS, SCORES = "trials.jsonl", "events.parquet", "scores.csv"
HEAD_SCORES = "head_scores.json"
OUTPUTS = TRIALS, EVENTS, SCORES, HEAD_SCORES


def write_trials(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write `trials.jsonl`: a line of JSON for each trial."""
    with replacing(folder / TRIALS) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def write_events(folder: Path, events: CopyEvents) -> None:
    """Write `events.parquet`: all copy-paste events, columns `EVENT_COLUMNS`."""
    schema = pa.Schema.from_pandas(CopyEvents.join([]).table)
    with replacing(folder / EVENTS) as temporary:
        pq.write_table(pa.Table.from_pandas(events.table, schema=schema), temporary)


def write_scores(folder: Path, result: RetrievalResult) -> None:
    """Write `scores.csv`, one row a head, and `head_scores.json`, the published shape."""
    with replacing(folder / SCORES) as temporary:
        result.to_dataframe().to_csv(temporary, index=False)
    with replacing(folder / HEAD_SCORES) as temporary:
        write_head_scores(result.scores, temporary)


def output_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each of these files that is there."""
    paths = [folder / name for name in OUTPUTS]
    return {path.name: file_sha256(path) for path in paths if path.exists()}


def changed_outputs(folder: Path, written: Mapping[str, str]) -> list[str]:
    """Files that are not as they were written, a text for each."""
    found = output_hashes(folder)
    return [
        f"{name} is {'not as it was written' if name in found else 'missing'}"
        for name, expected in written.items()
        if found.get(name) != expected
    ]


def remove_outputs(folder: Path) -> None:
    """Remove these files: they would tell of other trials than the folder holds."""
    for name in OUTPUTS:
        (folder / name).unlink(missing_ok=True)
