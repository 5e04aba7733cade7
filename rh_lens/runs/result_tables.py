"""The tables of a finished run, made from its trials and events."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rh_lens.detection import CopyEvents, RetrievalResult
from rh_lens.files import file_sha256, replacing
from rh_lens.formats.published import write_head_scores

EVENTS, SCORES, HEAD_SCORES = "events.parquet", "scores.csv", "head_scores.json"
OUTPUTS = EVENTS, SCORES, HEAD_SCORES


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


def remove_outputs(folder: Path) -> None:
    """Remove these files: they would tell of other trials than the folder holds."""
    for name in OUTPUTS:
        (folder / name).unlink(missing_ok=True)
