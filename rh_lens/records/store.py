"""A run folder: what was asked, every trial as it ended, and the scores."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rh_lens.detection import CopyEvents, RetrievalResult, Trial
from rh_lens.records.published import write_head_scores

Status = Literal["running", "finished", "stopped"]


class RunFolder:
    """Writes a run while it goes on; a context manager.

    | file | content |
    |---|---|
    | `run.json` | everything needed to repeat the run, and its status |
    | `trials.jsonl` | one line for each trial, written as it ends |
    | `events.parquet` | copy-paste events, columns `EVENT_COLUMNS` |
    | `scores.csv` | one row for each head, best first |
    | `head_scores.json` | scores in the published shape |

    The last two are written by `finish`. A run that is stopped by an error or by Ctrl-C keeps its
    trials and events, and `run.json` says so.

    Args:
        path: The folder; made if missing.
        description: What goes into `run.json`; JSON values.
        save_prompts: Whether a trial's line holds the prompt's token ids.

    Raises:
        FileExistsError: The folder is not empty.
    """

    def __init__(
        self, path: str | Path, description: dict[str, Any], *, save_prompts: bool = False
    ) -> None:
        self.path = Path(path)
        self._description = description
        self._save_prompts = save_prompts
        if self.path.exists() and any(self.path.iterdir()):
            raise FileExistsError(
                f"Expected a new or empty folder for the run; found files in {str(self.path)!r}. "
                "Choose another folder, or move the old run away."
            )

    def __enter__(self) -> "RunFolder":
        self.path.mkdir(parents=True, exist_ok=True)
        self._write_description("running")
        self._schema = pa.Schema.from_pandas(CopyEvents.join([]).table)
        self._trials = (self.path / "trials.jsonl").open("w", encoding="utf-8")
        self._events = pq.ParquetWriter(self.path / "events.parquet", self._schema)
        self._status: Status = "stopped"
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._events.close()
        self._trials.close()
        self._write_description(self._status)

    def add(self, trial: Trial, events: pd.DataFrame) -> None:
        """Keep one trial and its events; fits `detect_retrieval_heads(on_trial=...)`."""
        if len(events):
            self._events.write_table(pa.Table.from_pandas(events, schema=self._schema))
        self._trials.write(json.dumps(self._record(trial), ensure_ascii=False) + "\n")
        self._trials.flush()

    def finish(self, result: RetrievalResult) -> None:
        """Write the scores and mark the run as finished."""
        result.to_dataframe().to_csv(self.path / "scores.csv", index=False)
        write_head_scores(result.scores, self.path / "head_scores.json")
        self._status = "finished"

    def _record(self, trial: Trial) -> dict[str, Any]:
        record = trial_record(trial)
        if self._save_prompts:
            record["prompt_tokens"] = trial.prompt.tokens.tolist()
        return record

    def _write_description(self, status: Status) -> None:
        """Replace `run.json` in one step, so that it is never half written."""
        content = {"status": status, **self._description}
        temporary = self.path / "run.json.new"
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
        temporary.replace(self.path / "run.json")


def trial_record(trial: Trial) -> dict[str, Any]:
    """A trial as JSON values: one line of `trials.jsonl`."""
    prompt = trial.prompt
    return {
        "trial": trial.index,
        "needle": prompt.needle.name,
        "question": prompt.needle.question,
        "needle_text": prompt.needle.text,
        "answer": prompt.needle.answer,
        "context_length": prompt.context_length,
        "requested_depth": prompt.requested_depth,
        "depth": prompt.depth,
        "answer_span": list(prompt.answer_span),
        "needle_span": list(prompt.needle_span),
        "haystack": prompt.haystack_name,
        "haystack_sha256": prompt.haystack_sha256,
        "haystack_start": prompt.haystack_start,
        "haystack_repeats": prompt.haystack_repeats,
        "template": prompt.template_name,
        "prompt_sha256": prompt.sha256,
        "generated_tokens": trial.tokens.tolist(),
        "generated_text": trial.text,
        "stop_reason": trial.stop_reason,
        "accepted": trial.accepted,
        "reason": trial.reason,
        "recall": trial.recall,
        "recall_measure": trial.recall_measure,
    }
