"""An evaluation of tasks on disk, saved as it goes, and read back."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from rh_lens.checks import require_type, require_whole_number
from rh_lens.evaluation import KeptAnswer, SetAnswers
from rh_lens.evaluation.tasks import TaskTables
from rh_lens.files import usable_path
from rh_lens.heads import Head
from rh_lens.runs.ablation_folder import AblationFolder
from rh_lens.runs.description import Kind
from rh_lens.runs.load_ablation import finished_run, stored_table


class TaskFolder(AblationFolder):
    """Keeps answers to tasks as they come, and goes on with a run that was stopped.

    As `AblationFolder`, whose files it has; prompts of two ways of asking are one list, the second
    behind the first.

        with TaskFolder("runs/qa", model, prompts, options) as folder:
            curve = task_curve(bridge, task, ranking, done=folder.done, on_answers=folder.add)
            folder.finish(task_tables(curve))

    Args:
        path: The folder; made if missing.
        model: From `describe_model`.
        prompts: From `task_prompts`.
        options: All that can move an answer besides the heads that are silenced; JSON values.
        description: What else goes into `run.json`; JSON values.

    Raises:
        OSError: No folder can have this name.
        TypeError: An argument has the wrong type.
        ValueError: There is no prompt, the path is empty, or `model` lacks a field.
    """

    _what: ClassVar[Kind] = "task answers"

    def answers_from(self, first: int, n: int) -> dict[tuple[tuple[Head, ...], int], KeptAnswer]:
        """What is done of `n` prompts from the `first` on, which is counted as 0.

        Raises:
            TypeError: A number is no whole one.
            ValueError: One is negative.
        """
        require_whole_number("first", first, at_least=0)
        require_whole_number("n", n, at_least=0)
        return {
            (heads, place - first): one
            for (heads, place), one in self.done.items()
            if first <= place < first + n
        }

    def add_from(self, first: int, answers: SetAnswers) -> None:
        """Keep answers to prompts that are counted from the `first` on.

        Raises:
            TypeError: The answers are no mapping, or the number is no whole one.
            ValueError: It is negative.
        """
        require_whole_number("first", first, at_least=0)
        require_type("answers", answers, Mapping)
        self.add({(heads, place + first): one for (heads, place), one in answers.items()})

    def finish(self, tables: Any) -> None:
        """Write the tables, and mark the run as finished.

        Args:
            tables: From `task_tables`.

        Raises:
            OSError: Something could not be written; the folder goes on from what was.
            TypeError: It is something else.
        """
        require_type("tables", tables, TaskTables, remedy="Take it from task_tables.")
        self._write_tables(tables.by_name())


@dataclass(frozen=True, eq=False)
class StoredEvaluation:
    """What a folder of `rh-lens evaluate` holds.

    Args:
        path: The folder.
        description: Its `run.json`.
        tables: Its tables, with the types that they were written with.
    """

    path: Path
    description: dict[str, Any]
    tables: TaskTables

    def __repr__(self) -> str:
        rows = ", ".join(f"{name} {len(table)}" for name, table in self.tables.by_name().items())
        return f"StoredEvaluation({str(self.path)!r}; rows: {rows})"


def load_evaluation(folder: str | Path) -> StoredEvaluation:
    """A finished evaluation of tasks from its folder.

    Args:
        folder: Where `rh-lens evaluate`, or `TaskFolder.finish`, has written.

    Raises:
        FileNotFoundError: There is none, or one of its tables is missing.
        OSError: No folder can have this name.
        TypeError: It is no path.
        ValueError: It is something else, or not finished, the path is empty, or `run.json` or a
            table can't be read.

    Examples:
        >>> import io
        >>> from contextlib import redirect_stdout
        >>> from rh_lens.cli import main
        >>> write_head_scores(scores, "scores.json")
        >>> with redirect_stdout(io.StringIO()):
        ...     choices = "--limit 2 --top 4 --controls 0 --rankings 1 --out tasks"
        ...     _ = main(f"evaluate scores.json {choices}".split())
        >>> type(load_evaluation("tasks")).__name__
        'StoredEvaluation'
    """
    folder = usable_path("folder", folder)
    description = finished_run(folder, "task answers", "evaluation")
    written = description.get("tables", {})
    names = [field.name for field in fields(TaskTables) if field.name in written]
    tables = {name: stored_table(folder, name) for name in names}
    return StoredEvaluation(folder, description, TaskTables(**tables))
