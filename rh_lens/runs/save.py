"""A result that was made in memory, as a run folder, and back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rh_lens.checks import require_type
from rh_lens.detection import RetrievalResult
from rh_lens.files import usable_path
from rh_lens.runs.load import count_trials, load_run, write_outputs
from rh_lens.runs.provenance import package_versions, prompts_sha256
from rh_lens.runs.run_key import require_description
from rh_lens.runs.store import RunStore
from rh_lens.runs.trial_records import entry_record, trial_tensors


def save_result(
    result: RetrievalResult,
    folder: str | Path,
    description: Mapping[str, Any] | None = None,
) -> None:
    """Write a result to a new folder: the files of `RunFolder`, with the prompts' tokens.

    A result does not know its model. To save each trial as it ends, to go on after a kill, and to
    have the model's hashes beside the scores, answer with `RunFolder(...).detect()` instead.

    Args:
        result: From `detect_retrieval_heads`.
        folder: The folder; made if missing.
        description: What else goes into `run.json`, such as the model's name; JSON values.

    Raises:
        BlockingIOError: Another process writes to it.
        FileExistsError: It holds something.
        OSError: It can't be written.
        TypeError: An argument has the wrong type.
        ValueError: The path is empty, or a value is none of JSON.

    Examples:
        >>> save_result(result, "run", {"model": "bundled"})
        >>> import os
        >>> sorted(os.listdir("run"))
        ['events.parquet', 'head_scores.json', 'log', 'run.json', 'scores.csv', 'trials.jsonl']
    """
    require_type("result", result, RetrievalResult, remedy="Take it from detect_retrieval_heads.")
    path = usable_path("folder", folder)
    if description is not None:
        require_description("description", description)
    if path.exists() and any(path.iterdir()):
        raise FileExistsError(
            f"Expected a new or empty folder for a result; found {str(path)!r} in use. Choose "
            "another folder, or move what is there away."
        )
    with RunStore(path, "trials", _key(result), description) as run:
        for trial in result.trials:
            events = result.events.of_trials([trial.index]).table
            record = entry_record(trial, events, save_prompt=True)
            run.keep(trial.index, record, trial_tensors(trial, events))
        write_outputs(load_run(path))
        run.end(accounting=count_trials(len(result.trials), result.trials))


def load_result(folder: str | Path) -> RetrievalResult:
    """The result that a run folder holds: `load_run(folder).result()`.

    Args:
        folder: From `save_result`, `RunFolder` or `rh-lens detect`.

    Raises:
        DamagedRunError: The folder is damaged.
        FileNotFoundError: The folder is not a run's.
        NoAcceptedTrialsError: The score averages accepted trials and there are none.
        OSError: No folder can have this name.
        TypeError: It is no path.
        ValueError: The path is empty.

    Examples:
        >>> save_result(result, "run")
        >>> load_result("run").heads() == result.heads()
        True
    """
    return load_run(usable_path("folder", folder)).result()


def _key(result: RetrievalResult) -> dict[str, Any]:
    """What a result knows of the run that it comes from."""
    prompts = [trial.prompt for trial in result.trials]
    n_layers = result.scores.values.shape[1]
    heads = {"n_heads": result.n_heads, "n_key_value_heads": result.n_kv_heads}
    return {
        "model": {"n_layers": n_layers, **heads},
        "prompts": {"number": len(prompts), "sha256": prompts_sha256(prompts)},
        "options": {"score": result.scores.name, "threshold": result.threshold},
        "versions": package_versions(),
    }
