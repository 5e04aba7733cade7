"""A run folder, read back."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from rh_lens.checks import require_flag
from rh_lens.detection import (
    CopyEvents,
    NoAcceptedTrialsError,
    RetrievalResult,
    RetrievalScores,
    ScoreName,
    Trial,
    score_trials,
)
from rh_lens.files import usable_path
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.runs.description import RUN, n_prompts, read_run_folder
from rh_lens.runs.log import LOG, DamagedRunError, Log
from rh_lens.runs.result_tables import write_events, write_scores, write_trials
from rh_lens.runs.trial_records import read_events, read_trial


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A run from its folder; a run that is not over has the trials it has.

    Args:
        path: The folder.
        description: What the run is, from its log, and how far it has come, from `run.json`:
            status, accounting, key, arguments, versions.
        trials: The trials, by index, as `RetrievalResult.trials`. Token ids of a prompt that were
            not saved are -1, all but the answer's.
        events: Copy-paste events of all trials.
        damage: What is wrong with the folder, one text for each place; empty for a sound one.
        records: The lines of `trials.jsonl`, a trial each.
    """

    path: Path
    description: dict[str, Any]
    trials: tuple[Trial, ...]
    events: CopyEvents
    damage: tuple[str, ...] = ()
    records: tuple[dict[str, Any], ...] = ()

    def __repr__(self) -> str:
        damage = f", {len(self.damage)} places damaged" if self.damage else ""
        count = self.accounting()
        return (
            f"StoredRun({str(self.path)!r}: {self.status}, {count['prompts']} prompts, "
            f"{count['accepted']} accepted, {count['rejected']} rejected, "
            f"{count['open'] + count['failed']} to answer{damage})"
        )

    @property
    def status(self) -> str:
        """One of "running" (or killed while it ran), "stopped", "failed", "partial", "finished";
        "unknown" where `run.json` is damaged."""
        return self.description.get("status", "unknown")

    @cached_property
    def scores(self) -> RetrievalScores:
        """The score that the run asked for.

        Raises:
            NoAcceptedTrialsError: The score averages accepted trials and there are none.
            ValueError: Neither the log nor `run.json` says which score.
        """
        return self.score(self._option("score"))

    def score(self, name: ScoreName) -> RetrievalScores:
        """Any score of the run, computed from the stored trials.

        Raises:
            NoAcceptedTrialsError: The score averages accepted trials and there are none.
            TypeError: The name is no text.
            ValueError: The name is unknown, or the score had to be asked for in the run.
        """
        return score_trials(name, self.events, self.trials)

    def result(self) -> RetrievalResult:
        """The run as `detect_retrieval_heads` returned it, or would with these trials.

        Raises:
            NoAcceptedTrialsError: The score averages accepted trials and there are none.
            ValueError: Neither the log nor `run.json` says what the run is.
        """
        return RetrievalResult(
            scores=self.scores,
            events=self.events,
            trials=self.trials,
            threshold=self._option("threshold"),
            n_heads=self.description["key"]["model"]["n_heads"],
            n_kv_heads=self.description["key"]["model"]["n_key_value_heads"],
        )

    def accounting(self) -> dict[str, int]:
        """How many prompts there are, and how many of them are accepted, rejected, failed, open."""
        known = "key" in self.description
        n_all = n_prompts(self.description) if known else len(self.trials)
        return count_trials(n_all, self.trials, self.description.get("error"))

    def _option(self, name: str) -> Any:
        if "key" not in self.description:
            raise ValueError(
                f"Expected {LOG} or {RUN} to say which {name} the run has; found both damaged. "
                'Ask for a score by its name: run.score("position").'
            )
        return self.description["key"]["options"][name]


def load_run(
    path: str | Path, *, recover: bool = False, prompts: Sequence[NeedlePrompt] | None = None
) -> StoredRun:
    """A run from its folder, finished or not; every trial and every table is checked.

    Args:
        path: The folder.
        recover: Read what is whole in a damaged folder; `damage` says what is wrong. A trial with
            any damage is left out.
        prompts: The prompts of the run, to have their tokens in the trials.

    Raises:
        DamagedRunError: The folder is damaged, and `recover` is not set.
        FileNotFoundError: The folder is not a run's.
        OSError: No folder can have this name.
        TypeError: An argument has the wrong type.
        ValueError: `prompts` are others, or the folder is of another command or format.

    Examples:
        >>> save_result(result, "run")
        >>> run = load_run("run")
        >>> run.status, len(run.trials)
        ('finished', 8)
    """
    folder = usable_path("path", path)
    require_flag("recover", recover)
    if prompts is not None:
        prompts = require_prompts(prompts, at_least=0)
    found = read_run_folder(folder, "trials")
    if found.damage and not recover:
        raise DamagedRunError(folder, found.damage)
    pairs = trials_of(folder, found.log, prompts).values()
    return StoredRun(
        path=folder,
        description=found.description,
        trials=tuple(trial for trial, _ in pairs),
        events=CopyEvents.join(events for _, events in pairs),
        damage=found.damage,
        records=tuple(entry.record["trial"] for entry in found.log.entries.values()),
    )


def trials_of(
    folder: Path, log: Log, prompts: Sequence[NeedlePrompt] | None = None
) -> dict[int, tuple[Trial, pd.DataFrame]]:
    """Trials of a log with their events, by index.

    Raises:
        DamagedRunError: An entry holds no trial; a run writes none that does not.
        ValueError: `prompts` are others.
    """
    try:
        tables = read_events(list(log.entries.values()))
        own = [_prompt(entry.record["trial"], prompts) for entry in log.entries.values()]
        trials = map(read_trial, log.entries.values(), own)
        return dict(zip(log.entries, zip(trials, tables, strict=True), strict=True))
    except (LookupError, TypeError, AttributeError, RuntimeError) as error:
        problem = f"{LOG} holds what is no trial ({type(error).__name__}: {str(error)[:200]})"
        raise DamagedRunError(folder, (problem,)) from error


def write_outputs(run: StoredRun) -> None:
    """Write the files that are made from a run's trials; without accepted ones, no scores.

    Raises:
        OSError: A file can't be written.
    """
    write_trials(run.path, run.records)
    write_events(run.path, run.events)
    with suppress(NoAcceptedTrialsError):
        write_scores(run.path, run.result())


def count_trials(
    n_prompts: int, trials: Sequence[Trial], error: Mapping[str, Any] | None = None
) -> dict[str, int]:
    """Accounting of a run: every prompt is accepted, rejected, failed or open."""
    accepted = sum(trial.accepted for trial in trials)
    failed = len((error or {}).get("trials", ()))
    return {
        "prompts": n_prompts,
        "accepted": accepted,
        "rejected": len(trials) - accepted,
        "failed": failed,
        "open": n_prompts - len(trials) - failed,
    }


def _prompt(
    record: Mapping[str, Any], prompts: Sequence[NeedlePrompt] | None
) -> NeedlePrompt | None:
    """A stored trial's prompt among those that are given; None if none are."""
    if prompts is None:
        return None
    index, expected = record["trial"], record["prompt_sha256"]
    if index >= len(prompts) or prompts[index].sha256 != expected:
        found = prompts[index].sha256[:16] if index < len(prompts) else "no such prompt"
        raise ValueError(
            f"Expected prompt {index} to have the SHA-256 {expected[:16]} of the stored trial; "
            f"found {found}. Pass the prompts of this run, in their order, or none."
        )
    return prompts[index]
