"""An ablation on disk, saved as it goes."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from rh_lens.checks import require_type
from rh_lens.evaluation import AblationTables, KeptAnswer, SetAnswers
from rh_lens.files import (
    is_temporary,
    remove_temporaries,
    replacing,
    usable_path,
    write_json,
)
from rh_lens.heads import Head
from rh_lens.prompts import NeedlePrompt
from rh_lens.runs.answer_lines import answers_record, looks_record, read_answers
from rh_lens.runs.description import RUN
from rh_lens.runs.log import HEADS, TRIALS, LogWriter, is_empty_log, read_log
from rh_lens.runs.run_key import (
    key_differences,
    key_sha256,
    question_key,
    require_description,
)


class AblationFolder:
    """Keeps an ablation's answers as they come, and goes on with one that was stopped.

    | file | content |
    |---|---|
    | `run.json` | everything needed to repeat the run, its key and its status |
    | `trials.jsonl` | a line for each pass or prompt: the answers that came of it |
    | `heads.jsonl` | what the run is; then a line for each of those: where heads looked |
    | tables | CSV, written by `finish` |

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
            scope, how long answers may be and what ends them, the recorded heads. JSON values.
        description: What else goes into `run.json`; JSON values.

    Raises:
        OSError: No folder can have this name.
        TypeError: An argument has the wrong type.
        ValueError: There is no prompt, the path is empty, or `model` lacks a field.
    """

    path: Path
    done: dict[tuple[tuple[Head, ...], int], KeptAnswer]
    """Answers by the heads that were silenced, and the index of the prompt."""
    problem: OSError | None
    """Why answers that wait in memory could not be written, if any wait."""

    def __init__(
        self,
        path: str | Path,
        model: Mapping[str, Any],
        prompts: Sequence[NeedlePrompt],
        options: Mapping[str, Any],
        description: Mapping[str, Any] | None = None,
    ) -> None:
        if description is not None:
            require_description("description", description)
        self.path, self.done, self.problem = usable_path("path", path), {}, None
        self._key = question_key(model, prompts, options)
        self._description = {**(description or {}), "model": dict(model), "answers": self._key}
        self._n_lines, self._n_saved, self._is_finished = 0, 0, False
        self._waiting: list[SetAnswers] = []

    def __enter__(self) -> "AblationFolder":
        """Open the folder, and read what it holds.

        Raises:
            BlockingIOError: Another process writes to it.
            FileExistsError: It holds files that are no ablation.
            ValueError: It holds another ablation, or a damaged one.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._is_new = self._require_same()
        run = key_sha256(self._key)
        self._log = LogWriter(self.path, run)
        try:
            if self._is_new:
                self._log.begin({"answers": self._key})
            else:
                self._go_on(run)
            remove_temporaries(self.path)
            self._describe("running")
        except BaseException:
            self._close(discard=self._is_new)
            raise
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        discard = error is not None and self._is_new and not self.done
        try:
            self._close(discard=discard)
            if not self._is_finished and not discard:
                self._describe("failed" if isinstance(error, Exception) else "stopped", error)
        except OSError:
            # On a full disk the error that ended the run says more than one that follows from it.
            if error is None:
                raise

    def add(self, answers: SetAnswers) -> None:
        """Keep answers; fits `answer_plan(on_answers=...)`. What is there already is left out.

        Raises:
            TypeError: It is no mapping.
        """
        require_type("answers", answers, Mapping)
        new = {place: answer for place, answer in answers.items() if place not in self.done}
        self.done |= new
        if new:
            self._waiting.append(new)
        with suppress(OSError):
            self._write_waiting()

    def finish(self, tables: AblationTables) -> None:
        """Write the tables, and mark the run as finished.

        Args:
            tables: From `ablation_tables`.

        Raises:
            OSError: Something could not be written; the folder goes on from what was.
            TypeError: It is something else.
        """
        require_type("tables", tables, AblationTables, remedy="Take it from ablation_tables.")
        self._write_waiting()
        named = tables.by_name()
        for name, table in named.items():
            with replacing(self.path / f"{name}.csv") as temporary:
                table.to_csv(temporary, index=False)
        self._description["tables"] = {name: len(table) for name, table in named.items()}
        self._description["dtypes"] = {
            name: {column: str(dtype) for column, dtype in table.dtypes.items()}
            for name, table in named.items()
        }
        self._log.sync()
        self._describe("finished")
        self._is_finished = True

    def _write_waiting(self) -> None:
        """Write what waits, the oldest first.

        Raises:
            OSError: Something could not be written; it waits on.
        """
        try:
            while self._waiting:
                answers = self._waiting[0]
                record = answers_record(self._n_lines, answers)
                self._log.append(record, looks_record(self._n_lines, answers))
                self._waiting.pop(0)
                self._n_lines, self._n_saved = self._n_lines + 1, self._n_saved + len(answers)
            self.problem = None
        except OSError as error:
            self.problem = error
            raise

    def _go_on(self, run: str) -> None:
        """Take over the answers that are there."""
        log = read_log(self.path, run=run, is_over=False)
        if log.damage:
            raise _other(self.path, f"a damaged one: {'; '.join(log.damage[:3])}")
        self._log.cut_back(log)
        for entry in log.entries.values():
            self.done |= read_answers(entry.record, entry.heads)
        self._n_lines, self._n_saved = len(log.entries), len(self.done)

    def _require_same(self) -> bool:
        """Whether nothing was answered here before; what was must be of this run."""
        before = read_ablation_description(self.path)
        if before is None:
            return True
        if differences := key_differences(before.get("answers", {}), self._key):
            raise _other(self.path, f"that it differs in {'; '.join(differences)}")
        return False

    def _close(self, *, discard: bool) -> None:
        if discard:
            (self.path / RUN).unlink(missing_ok=True)
            self._log.discard()
        self._log.close()

    def _describe(self, status: str, error: BaseException | None = None) -> None:
        """Replace `run.json` at once."""
        failure = None
        if isinstance(error, Exception):
            failure = {"type": type(error).__name__, "message": str(error)}
        progress = {"status": status, "error": failure, "n_answers": self._n_saved}
        write_json(self.path / RUN, {**progress, **self._description})


def read_ablation_description(folder: str | Path) -> dict[str, Any] | None:
    """The `run.json` of an ablation; None in a folder where nothing was begun.

    Raises:
        FileExistsError: The folder holds something else.
        OSError: No folder can have this name.
        TypeError: It is no path.
        ValueError: `run.json` can't be read, or the path is empty.
    """
    folder = usable_path("folder", folder)
    if not folder.exists():
        return None
    if (folder / RUN).exists():
        try:
            description = dict(json.loads((folder / RUN).read_text(encoding="utf-8")))
        except (ValueError, TypeError, RecursionError) as error:
            raise _other(folder, f"a {RUN} that can't be read: {str(error)[:200]}") from error
        if "answers" in description:
            return description
    names = {file.name for file in folder.iterdir() if not is_temporary(file)}
    found = sorted(names - {HEADS, TRIALS} if is_empty_log(folder) else names)
    if found:
        raise FileExistsError(
            "Expected a new or empty folder for the results, or one with an ablation to go on "
            f"with; found {found[:4]} in {str(folder)!r}. Choose another folder, or move these "
            "away."
        )
    return None


def _other(folder: Path, found: str) -> ValueError:
    return ValueError(
        f"Expected the ablation in {str(folder)!r} to be this one; found {found}. Repeat it with "
        "what it was begun with, or choose another folder."
    )
