"""An ablation on disk, saved as it goes."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from torch import Tensor

from rh_lens.checks import require_type
from rh_lens.evaluation import AblationTables, KeptAnswer, SetAnswers, SetLosses
from rh_lens.files import replacing, usable_path
from rh_lens.heads import Head
from rh_lens.prompts import AnyPrompt
from rh_lens.runs.answer_records import (
    answers_record,
    looks_tensors,
    losses_record,
    read_answers,
    read_losses,
)
from rh_lens.runs.description import FoundRun, Kind
from rh_lens.runs.run_key import question_key, require_description
from rh_lens.runs.store import RunStore

TABLES = "tables"


class AblationFolder(RunStore):
    """Keeps an ablation's answers as they come, and goes on with one that was stopped.

    | file | content |
    |---|---|
    | `run.json` | everything needed to repeat the run, its key and its status |
    | `log/` | a file for each pass or prompt: the answers that came of it, where heads looked |
    | `curve.csv`, ... | tables, written by `finish` |
    | `tables/` | the same as Parquet, with the types of their columns |

    Whatever ends it (an error, Ctrl-C, kill -9), the answers that had ended count, each once. They
    are kept by the heads that were silenced, so that they count also for a run with more Ks or more
    controls. Answers that can't be written (a full disk) wait in memory, and are tried again with
    the next ones and by `finish`.

        with AblationFolder("runs/ablate", model, prompts, options) as folder:
            curve = answer_plan(bridge, prompts, plan, done=folder.done, on_answers=folder.add)
            folder.finish({"curve": curve.to_dataframe()})

    Args:
        path: The folder; made if missing.
        model: From `describe_model`.
        prompts: The prompts.
        options: All that can move an answer besides the heads that are silenced: the operator, its
            scope, how long answers may be and what ends them, the recorded heads; and a hash of the
            text for perplexity. JSON values.
        description: What else goes into `run.json`; JSON values.

    Raises:
        OSError: No folder can have this name.
        TypeError: An argument has the wrong type.
        ValueError: There is no prompt, the path is empty, or `model` lacks a field.
    """

    _what: ClassVar[Kind] = "answers"

    done: dict[tuple[tuple[Head, ...], int], KeptAnswer]
    """Answers by the heads that were silenced, and the index of the prompt."""
    losses: dict[tuple[tuple[Head, ...], int], float]
    """Losses of the text for perplexity, by the heads that were silenced, and the window."""
    problem: OSError | None
    """Why answers that wait in memory could not be written, if any wait."""

    def __init__(
        self,
        path: str | Path,
        model: Mapping[str, Any],
        prompts: Sequence[AnyPrompt],
        options: Mapping[str, Any],
        description: Mapping[str, Any] | None = None,
    ) -> None:
        if description is not None:
            require_description("description", description)
        self.done, self.losses, self.problem = {}, {}, None
        self._n_saved, self._next = 0, 0
        self._waiting: list[tuple[dict[str, Any], dict[str, Tensor], int]] = []
        key = question_key(model, prompts, options)
        whole = {**(description or {}), "model": dict(model)}
        super().__init__(usable_path("path", path), self._what, key, whole)

    def add(self, answers: SetAnswers) -> None:
        """Keep answers; fits `answer_plan(on_answers=...)`. What is there already is left out.

        Raises:
            TypeError: It is no mapping.
        """
        require_type("answers", answers, Mapping)
        new = {place: answer for place, answer in answers.items() if place not in self.done}
        self.done |= new
        if new:
            self._put(answers_record(new), looks_tensors(new), len(new))

    def add_losses(self, losses: SetLosses) -> None:
        """Keep losses of a text; fits `curve_perplexity(on_losses=...)`.

        Raises:
            TypeError: It is no mapping.
        """
        require_type("losses", losses, Mapping)
        self.losses |= losses
        self._put(losses_record(losses), {}, 0)

    def finish(self, tables: AblationTables) -> None:
        """Write the tables, and mark the run as finished.

        Args:
            tables: From `ablation_tables`.

        Raises:
            OSError: Something could not be written; the folder goes on from what was.
            TypeError: It is something else.
        """
        require_type("tables", tables, AblationTables, remedy="Take it from ablation_tables.")
        self._write_tables(tables.by_name())

    def _write_tables(self, named: Mapping[str, pd.DataFrame]) -> None:
        """Write what waits and the tables, and mark the run as finished."""
        self._write_waiting()
        (self.path / TABLES).mkdir(exist_ok=True)
        for name, table in named.items():
            with replacing(self.path / f"{name}.csv") as temporary:
                table.to_csv(temporary, index=False)
            with replacing(self.path / TABLES / f"{name}.parquet") as temporary:
                table.to_parquet(temporary, index=False)
        self.end(tables={name: len(table) for name, table in named.items()})

    def _put(self, record: dict[str, Any], tensors: dict[str, Tensor], n_answers: int) -> None:
        """Have an entry written: now, or when there is room again."""
        self._waiting.append((record, tensors, n_answers))
        with suppress(OSError):
            self._write_waiting()

    def _write_waiting(self) -> None:
        """Write what waits, the oldest first.

        Raises:
            OSError: Something could not be written; it waits on.
        """
        try:
            while self._waiting:
                record, tensors, n_answers = self._waiting[0]
                self.keep(self._next, record, tensors)
                self._waiting.pop(0)
                self._next += 1
                self._n_saved += n_answers
            self.problem = None
        except OSError as error:
            self.problem = error
            raise

    def _restore(self, found: FoundRun) -> bool:
        for entry in found.log.entries.values():
            self.done |= read_answers(entry)
            self.losses |= read_losses(entry)
        self._n_saved = len(self.done)
        self._next = max(found.log.entries, default=-1) + 1
        return False

    def _progress(self, failure: dict[str, Any] | None) -> dict[str, Any]:
        return {"n_answers": self._n_saved}

    def _has_begun(self) -> bool:
        return bool(self.done)
