"""The trials of a run on disk: each as it ended, whatever ends the run, and where to go on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import NoneType
from typing import Any

import pandas as pd

from rh_lens.checks import require_flag, require_table, require_type, require_whole_number
from rh_lens.detection import EVENT_COLUMNS, RetrievalResult, Trial, UntilStatement
from rh_lens.files import usable_path
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.runs.description import FoundRun
from rh_lens.runs.load import count_trials, load_run, trials_of, write_outputs
from rh_lens.runs.run_key import key_differences, require_description
from rh_lens.runs.shards import Shard
from rh_lens.runs.store import RunStore
from rh_lens.runs.trial_records import entry_record, stored_prompt, trial_tensors


class TrialStore(RunStore):
    """Writes trials while a run goes on, and goes on with one that was stopped; a context manager.

    It knows the prompts and a key, and no model: `RunFolder` has one, and describes the files.

    Args:
        path: The folder; made if missing.
        prompts: All prompts of the run, also when a shard of them is answered here.
        key: From `run_key`.
        description: What else goes into `run.json`; JSON values.
        shard: The part of the prompts to answer here; None: all.
        save_prompts: Whether a trial's record holds the prompt's token ids.

    Raises:
        OSError: No folder can have this name.
        TypeError: An argument has the wrong type.
        ValueError: There is no prompt, the path is empty, or `key` lacks the model's fields.
    """

    done: dict[int, tuple[Trial, pd.DataFrame]]
    """Trials that have ended, with their events, by index; read when the folder is opened."""
    statement: UntilStatement | None
    """What is known, where `detect` was to stop early."""

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
        folder = usable_path("path", path)
        prompts = require_prompts(prompts)
        require_description("key", key, ("model", "prompts", "options"))
        if description is not None:
            require_description("description", description)
        require_type("shard", shard, (Shard, NoneType))
        require_flag("save_prompts", save_prompts)
        if shard is not None and folder.is_symlink():
            raise FileExistsError(
                f"Expected a folder for shard {shard} at {str(folder)!r}; found a link. Remove it, "
                "or name the folder that it leads to."
            )
        self.done, self.statement = {}, None
        self._prompts, self._shard, self._save_prompts = prompts, shard, save_prompts
        self._indices = tuple(range(len(prompts))) if shard is None else shard.prompts(prompts)
        self._under_way: set[int] = set()
        part = None
        if shard is not None:
            part = {"number": shard.number, "of": shard.of, "prompts": len(self._indices)}
        super().__init__(folder, "trials", key, description, part)

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
        record = entry_record(trial, events, save_prompt=self._save_prompts)
        self.keep(index, record, trial_tensors(trial, events))
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
        stopped = self.statement is not None and self.done
        if self._shard is not None or (self.missing and not stopped):
            part = f"shard {self._shard}" if self._shard else "a run"
            raise ValueError(
                f"Expected a whole run; found {part} with {len(self.missing)} of its prompts "
                "missing. Answer them all, and join shards with merge_runs."
            )
        run = load_run(self.path, prompts=self._prompts)
        if not self.was_finished:
            write_outputs(run)
            stopped_early = None if self.statement is None else self.statement.record()
            self.end(stopped_early=stopped_early)
        return replace(run.result(), statement=self.statement)

    def _restore(self, found: FoundRun) -> bool:
        self.done = trials_of(self.path, found.log, self._prompts)
        # One that stopped early has more to answer, if that is asked for.
        return found.description.get("status") == "finished" and not self.missing

    def _progress(self, failure: dict[str, Any] | None) -> dict[str, Any]:
        if failure is not None:
            failure["trials"] = sorted(self._under_way)
        trials = [trial for trial, _ in self.done.values()]
        return {"accounting": count_trials(len(self._indices), trials, failure)}

    def _is_complete(self) -> bool:
        return self._shard is not None and not self.missing

    def _has_begun(self) -> bool:
        return bool(self.done or self._under_way)

    def _explain(self, found: FoundRun) -> list[str]:
        """How the first stored prompt that differs does so, in all but its tokens."""
        for index, entry in found.log.entries.items():
            record = entry.record["trial"]
            known = index < len(self._prompts)
            if known and self._prompts[index].sha256 != record["prompt_sha256"]:
                there, here = stored_prompt(record).content, self._prompts[index].content
                del there["tokens"], here["tokens"]
                return [f"prompt {index}: {text}" for text in key_differences(there, here)]
        return []
