"""A run folder, read back."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from rh_lens.checks import require_flag, shown
from rh_lens.detection import (
    CopyEvents,
    RetrievalResult,
    RetrievalScores,
    ScoreName,
    Trial,
    score_trials,
)
from rh_lens.files import usable_path
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.runs.description import (
    OVER,
    RUN,
    count_trials,
    missing_trials,
    read_description,
    require_this_format,
)
from rh_lens.runs.log import HEADS, TRIALS, DamagedRunError, Entry, Log, read_log
from rh_lens.runs.result_tables import output_hashes
from rh_lens.runs.resume import require_no_merge
from rh_lens.runs.run_key import key_sha256
from rh_lens.runs.shards import FOLDERS
from rh_lens.runs.trial_lines import read_events, read_trial, stored_prompt


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A run from its folder; a run that is not over has the trials it has.

    Args:
        path: The folder.
        description: The content of `run.json`: status, accounting, key, arguments, versions; where
            that is damaged, what the log says of the run, without the first two.
        answered: The trials, by index. Token ids of a prompt that were not saved are -1, all but
            the answer's.
        trials: The trials as a table, one row a trial, columns as in `trials.jsonl`.
        events: Copy-paste events of all trials.
        damage: What is wrong with the folder, one text for each place; empty for a sound one.
    """

    path: Path
    description: dict[str, Any]
    answered: tuple[Trial, ...]
    trials: pd.DataFrame
    events: CopyEvents
    damage: tuple[str, ...] = ()

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
            ValueError: Neither `run.json` nor the log says which score.
        """
        return self.score(self._option("score"))

    def score(self, name: ScoreName) -> RetrievalScores:
        """Any score of the run, computed from the stored trials.

        Raises:
            NoAcceptedTrialsError: The score averages accepted trials and there are none.
            TypeError: The name is no text.
            ValueError: The name is unknown, or the score had to be asked for in the run.
        """
        return score_trials(name, self.events, self.answered)

    def result(self) -> RetrievalResult:
        """The run as `detect_retrieval_heads` returned it, or would with these trials.

        Raises:
            NoAcceptedTrialsError: The score averages accepted trials and there are none.
            ValueError: `run.json` is damaged.
        """
        return RetrievalResult(
            scores=self.scores,
            events=self.events,
            trials=self.answered,
            threshold=self._option("threshold"),
            n_heads=self.description["key"]["model"]["n_heads"],
            n_kv_heads=self.description["key"]["model"]["n_key_value_heads"],
        )

    def accounting(self) -> dict[str, int]:
        """How many prompts there are, and how many of them are accepted, rejected, failed, open."""
        return count_trials(self.description, self.answered)

    def _option(self, name: str) -> Any:
        if "key" not in self.description:
            raise ValueError(
                f"Expected {RUN} or {HEADS} to say which {name} the run has; found both damaged. "
                'Ask for a score by its name: run.score("position").'
            )
        return self.description["key"]["options"][name]


def load_run(
    path: str | Path, *, recover: bool = False, prompts: Sequence[NeedlePrompt] | None = None
) -> StoredRun:
    """A run from its folder, finished or not; every line and every table is checked.

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
        ValueError: `prompts` are others, or a merge into the folder was interrupted.
    """
    folder = usable_path("path", path)
    require_flag("recover", recover)
    if prompts is not None:
        prompts = require_prompts(prompts, at_least=0)
    description, damage = _read_description(folder)
    if description:
        require_no_merge(folder, description)
    log = _read_log(folder, description)
    if description and not log.damage:
        damage += missing_trials(description, len(log.entries))
    damage += [*log.damage, *_changed_outputs(folder, description)]
    if damage and not recover:
        raise DamagedRunError(folder, tuple(damage))
    if prompts is not None and description:
        require_this_format(folder, description)
    return stored_run(folder, description or log.description or {}, log, prompts, damage)


def stored_run(
    folder: Path,
    description: dict[str, Any],
    log: Log,
    prompts: Sequence[NeedlePrompt] | None = None,
    damage: Sequence[str] = (),
) -> StoredRun:
    """The run of a description and a log."""
    pairs = trials_of(log, prompts)
    return StoredRun(
        path=folder,
        description=description,
        answered=tuple(pairs[index][0] for index in sorted(pairs)),
        trials=pd.DataFrame([log.entries[index].record for index in sorted(pairs)]),
        events=CopyEvents.join(pairs[index][1] for index in sorted(pairs)),
        damage=tuple(damage),
    )


def trials_of(
    log: Log, prompts: Sequence[NeedlePrompt] | None = None
) -> dict[int, tuple[Trial, pd.DataFrame]]:
    """Trials of a log with their events, by index.

    Raises:
        ValueError: `prompts` are others.
    """
    heads = {index: entry.heads for index, entry in log.entries.items()}
    tables = read_events(list(heads.values()))
    return {
        index: (read_trial(entry.record, heads[index], _prompt(entry, prompts)), events)
        for (index, entry), events in zip(log.entries.items(), tables, strict=True)
    }


def _read_description(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Description of a run, and what is wrong with it."""
    if not (folder / RUN).exists() and not (folder / TRIALS).exists():
        shards = sorted(one.name for one in folder.glob(FOLDERS)) if folder.is_dir() else []
        found = f"its parts {shards[:4]}" if shards else "none"
        todo = "Join them: rh-lens merge." if shards else "Give the folder that --out named."
        raise FileNotFoundError(
            f"Expected a run folder, with {RUN} and {TRIALS}, at {shown(str(folder), 300)}; "
            f"found {found}. {todo}"
        )
    try:
        return read_description(folder), []
    except DamagedRunError as error:
        return {}, list(error.damage)


def _read_log(folder: Path, description: dict[str, Any]) -> Log:
    run = key_sha256(description["key"]) if description else None
    return read_log(folder, run=run, is_over=description.get("status") in OVER)


def _changed_outputs(folder: Path, description: dict[str, Any]) -> list[str]:
    """Tables that are not as they were written."""
    found = output_hashes(folder)
    return [
        f"{name} is {'not as it was written' if name in found else 'missing'}"
        for name, expected in description.get("files", {}).items()
        if found.get(name) != expected
    ]


def _prompt(entry: Entry, prompts: Sequence[NeedlePrompt] | None) -> NeedlePrompt:
    """A stored trial's prompt, with its tokens where they are known."""
    if prompts is None:
        return stored_prompt(entry.record)
    index, expected = entry.record["trial"], entry.record["prompt_sha256"]
    if index >= len(prompts) or prompts[index].sha256 != expected:
        found = prompts[index].sha256[:16] if index < len(prompts) else "no such prompt"
        raise ValueError(
            f"Expected prompt {index} to have the SHA-256 {expected[:16]} of the stored trial; "
            f"found {found}. Pass the prompts of this run, in their order, or none."
        )
    return prompts[index]
