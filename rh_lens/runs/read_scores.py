"""Scores from wherever they are: a run folder, or a score file of any published shape."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rh_lens.detection import NoAcceptedTrialsError, RetrievalScores
from rh_lens.files import usable_path
from rh_lens.formats import read_head_scores
from rh_lens.formats.duo_attention import GATES_FILE
from rh_lens.runs.load import load_run
from rh_lens.runs.log import has_log, read_log
from rh_lens.runs.run_key import require_same_weights


def read_scores(path: str | Path) -> RetrievalScores:
    """Scores of a run folder, or of a score file of any published shape.

    Args:
        path: The folder of a run that is over, or a file, as `read_head_scores` takes it.

    Raises:
        DamagedRunError: The run is damaged.
        OSError: There is no such file or folder.
        TypeError: It is no path.
        ValueError: The run is not over or has no scores, or the file is malformed.

    Examples:
        >>> save_result(result, "run")
        >>> sorted(head.label for head in read_scores("run").top(3))
        ['L2H2', 'L2H3', 'L2H4']
    """
    path = usable_path("path", path)
    if not path.is_dir() or (path / GATES_FILE).exists():
        return read_head_scores(path)
    run = load_run(path)
    if run.status not in ("finished", "partial"):
        count = run.accounting()
        raise ValueError(
            f"Expected a finished run in {str(path)!r}; found one that is {run.status!r}, with "
            f"{count['open'] + count['failed']} of {count['prompts']} prompts to answer. Go on "
            "with the command that began it, or take what is there: rh-lens merge --partial."
        )
    try:
        return run.scores
    except NoAcceptedTrialsError as error:
        raise ValueError(f"Expected scores in {str(path)!r}; found none. {error}") from error


def model_of_run(path: Path) -> dict[str, Any] | None:
    """The model's part of a run folder's key; None for what is no run folder."""
    if not has_log(path):
        return None
    description = read_log(path, only_beginning=True).description
    return None if description is None else dict(description["key"]["model"])


def require_run_of(path: Path, model: Mapping[str, Any]) -> None:
    """Refuse the scores of a run whose weights are not the model's.

    Args:
        path: A run folder; anything else is let pass.
        model: From `describe_model`.

    Raises:
        ValueError: They are others.
    """
    if (there := model_of_run(path)) is not None:
        require_same_weights(path, there, model)
