"""The trials of a run on disk: each as it ended, whatever ends the run, and where to go on."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import NoneType, TracebackType
from typing import Any, TypeVar

import pandas as pd

from rh_lens.checks import require_flag, require_table, require_type, require_whole_number
from rh_lens.detection import EVENT_COLUMNS, NoAcceptedTrialsError, RetrievalResult, Trial
from rh_lens.files import remove_temporaries, usable_path
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.runs.description import (
    FORMAT,
    OVER,
    RUN,
    Status,
    missing_trials,
    read_description,
    shard_entry,
    what_it_is,
    write_description,
)
from rh_lens.runs.load import load_run, trials_of
from rh_lens.runs.log import DamagedRunError, LogWriter, read_log
from rh_lens.runs.result_tables import output_hashes, remove_outputs, write_events, write_scores
from rh_lens.runs.resume import require_no_other_files, require_same_run
from rh_lens.runs.run_key import key_sha256, require_description
from rh_lens.runs.shards import Shard
from rh_lens.runs.trial_lines import heads_record, trial_record

_Store = TypeVar("_Store", bound="TrialStore")


class TrialStore:
    """Writes trials while a run goes on, and goes on with one that was stopped; a context manager.

    It knows the prompts and a key, and no model: `RunFolder` has one, and describes the files.

    Args:
        path: The folder; made if missing.
        prompts: All prompts of the run, also when a shard of them is answered here.
        key: From `run_key`.
        description: What else goes into `run.json`; JSON values.
        shard: The part of the prompts to answer here; None: all.
        save_prompts: Whether a trial's line holds the prompt's token ids.

    Raises:
        OSError: No folder can have this name.
        TypeError: An argument has the wrong type.
        ValueError: There is no prompt, the path is empty, or `key` lacks the model's fields.
    """

    done: dict[int, tuple[Trial, pd.DataFrame]]
    """Trials that have ended, with their events, by index; read when the folder is opened."""
    was_finished: bool
    """Whether the folder held the whole run when it was opened."""

    def __init__(
        self,
        path: str | Path,
        prompts: Sequence[NeedlePrompt],
        key: Mapping[str, Any],
        description: Mapping[str, Any] | None = None,
        *,
        shard: Shard | None = None,
        save_prompts: bool = False,
    ) -> None:
        self.path = usable_path("path", path)
        prompts = require_prompts(prompts)
        require_description("key", key, ("model", "prompts", "options"))
        if description is not None:
            require_description("description", description)
        require_type("shard", shard, (Shard, NoneType))
        require_flag("save_prompts", save_prompts)
        self.done = {}
        self.was_finished = False
        self._prompts, self._shard = prompts, shard
        self._indices = tuple(range(len(prompts))) if shard is None else shard.prompts(prompts)
        entry = shard_entry(shard, len(self._indices))
        identity = {"format": FORMAT, "key": dict(key), "shard": entry}
        self._description = {**(description or {}), **identity}
        self._save_prompts = save_prompts
        self._under_way: set[int] = set()
        self._tables_written = False

    def __enter__(self: _Store) -> _Store:
        """Open the folder, and read what it holds.

        Raises:
            BlockingIOError: Another process writes to it.
            DamagedRunError: It is damaged.
            FileExistsError: It holds files that are no run.
            ValueError: It holds another run; the message names every field that differs.
        """
        before = self._before()
        self._is_new, self._makes_folder = before is None, not self.path.exists()
        self.path.mkdir(parents=True, exist_ok=True)
        self._log = LogWriter(self.path, key_sha256(self._description["key"]))
        try:
            self._go_on_from(before)
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
        try:
            has_begun = not self._is_new or self.done or self._under_way
            discard = error is not None and not has_begun
            self._close(discard=discard)
            if self.was_finished or discard:
                return
            failure = error if isinstance(error, Exception) else None
            if self._tables_written or (self._shard and not self.missing):
                self._describe("finished")
            else:
                self._describe("failed" if failure else "stopped", failure)
        except OSError:
            # On a full disk the error that ended the run says more than one that follows from it.
            if error is None:
                raise

    @property
    def missing(self) -> list[int]:
        """Indices of the prompts that are to be answered here, and are not."""
        return [index for index in self._indices if index not in self.done]

    def start(self, index: int) -> None:
        """Note which prompt is being answered; as a `TrialLog` does.

        Raises:
            TypeError: It is no whole number.
            ValueError: The prompt is not one of these.
        """
        require_whole_number("index", index, at_least=0, at_most=len(self._prompts) - 1)
        self._under_way.add(index)

    def add(self, trial: Trial, events: pd.DataFrame) -> None:
        """Keep one trial and its events; as a `TrialLog` does.

        Raises:
            OSError: They could not be written; the folder is as before.
            TypeError: An argument has the wrong type.
            ValueError: The trial is not one that is missing here.
        """
        require_type("trial", trial, Trial)
        require_table("events", events, EVENT_COLUMNS, remedy="Pass the events of the trial.")
        index = trial.index
        if index in self.done or index not in self._indices:
            raise ValueError(
                f"Expected a trial that is missing in {str(self.path)!r}; found trial {index}, "
                f"which is {'there already' if index in self.done else 'of another shard'}. "
                "Answer run.missing only."
            )
        if trial.prompt.sha256 != self._prompts[index].sha256:
            raise ValueError(
                f"Expected trial {index} to be of prompt {index} of the run in {str(self.path)!r}; "
                "found one of another prompt. Answer the prompts that the folder was opened with."
            )
        record = trial_record(trial)
        if self._save_prompts:
            record["prompt_tokens"] = trial.prompt.tokens.tolist()
        self._log.append(record, heads_record(trial, events))
        self.done[index] = trial, events
        self._under_way.discard(index)

    def finish(self) -> RetrievalResult:
        """Write events and scores, from the trials on disk, and mark the run as finished.

        Returns:
            The result; that of a run that was finished before is read and checked only.

        Raises:
            DamagedRunError: What is on disk is not what was written.
            NoAcceptedTrialsError: There is no score to write; the run is finished none the less.
            ValueError: Prompts are missing, or this is a shard.
        """
        if self._shard is not None or self.missing:
            part = f"shard {self._shard}" if self._shard else "a run"
            raise ValueError(
                f"Expected a whole run; found {part} with {len(self.missing)} of its prompts "
                "missing. Answer them all, and join shards with merge_runs."
            )
        self._log.sync()
        run = load_run(self.path, prompts=self._prompts)
        if self.was_finished:
            return run.result()
        write_events(self.path, run.events)
        try:
            result = run.result()
        except NoAcceptedTrialsError:
            self._tables_written = True
            raise
        write_scores(self.path, result)
        self._tables_written = True
        return result

    def _before(self) -> dict[str, Any] | None:
        """Description of the run that is there, if it is this one; None in a new folder."""
        if self._shard is not None and self.path.is_symlink():
            raise FileExistsError(
                f"Expected a folder for shard {self._shard} at {str(self.path)!r}; found a link. "
                "Remove it, or name the folder that it leads to."
            )
        if (self.path / RUN).exists():
            before = read_description(self.path)
            require_same_run(self.path, before, self._description, self._prompts)
            return before
        require_no_other_files(self.path)
        return None

    def _go_on_from(self, before: dict[str, Any] | None) -> None:
        """Take over the trials that are there, and have `run.json` say that the run goes on."""
        if before is not None and self._take_over(before):
            self.was_finished = True
            return
        remove_temporaries(self.path)
        remove_outputs(self.path)
        if before is None:
            self._log.begin(what_it_is(self._description))
        session = {name: self._description.get(name) for name in ("started", "machine")}
        session["trials_before"] = len(self.done)
        sessions = [*(before or {}).get("sessions", []), session]
        self._description = {**(before or self._description), "sessions": sessions}
        self._describe("running")

    def _take_over(self, before: dict[str, Any]) -> bool:
        """Read the trials that are there; whether they and the tables are the whole run."""
        run, is_over = key_sha256(self._description["key"]), before["status"] in OVER
        log = read_log(self.path, run=run, is_over=is_over)
        if damage := log.damage or missing_trials(before, len(log.entries)):
            raise DamagedRunError(self.path, tuple(damage))
        self.done = trials_of(log, self._prompts)
        if before["status"] == "finished" and output_hashes(self.path) == before.get("files"):
            return True
        self._log.cut_back(log)
        return False

    def _close(self, *, discard: bool) -> None:
        """Let other processes write; without a trace of the run, if it is to be discarded."""
        if discard:
            (self.path / RUN).unlink(missing_ok=True)
            self._log.discard()
        self._log.close()
        if discard and self._makes_folder:
            with suppress(OSError):  # somebody has put a file there
                self.path.rmdir()

    def _describe(self, status: Status, error: Exception | None = None) -> None:
        """Replace `run.json` at once."""
        trials = [trial for trial, _ in self.done.values()]
        failure: dict[str, Any] | None = None
        if error is not None:
            failure = {"type": type(error).__name__, "message": str(error)}
            failure["trials"] = sorted(self._under_way)
        write_description(self.path, self._description, status, trials, failure)
