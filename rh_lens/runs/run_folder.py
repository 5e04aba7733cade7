"""A run folder: one detection on disk, made from exactly what is asked of the model."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Unpack

from rh_lens.checks import require_text
from rh_lens.detection import (
    DetectionChoices,
    NoAcceptedTrialsError,
    Until,
    detect_retrieval_heads,
    detection_options,
)
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.runs.provenance import describe_model
from rh_lens.runs.run_key import require_description, run_key
from rh_lens.runs.shards import Shard, unit_for
from rh_lens.runs.trial_store import TrialStore
from rh_lens.runtime import DEFAULT_EXECUTION, Bridge, Execution, require_bridge


class RunFolder(TrialStore):
    """Detects retrieval heads into a folder, and goes on with a run that was stopped.

    | file | content |
    |---|---|
    | `log/` | what the run is; then a file for each trial: all of it, as safetensors |
    | `run.json` | everything needed to repeat the run, its key, its status and accounting |
    | `trials.jsonl` | one line for each trial: what was asked, what was answered, the verdict |
    | `events.parquet` | copy-paste events, columns `EVENT_COLUMNS` |
    | `scores.csv` | one row for each head, best first |
    | `head_scores.json` | scores in the published shape |

    The log grows with the run. Whatever ends it (an error, Ctrl-C, kill -9, a full disk), the
    trials that had ended count, each once; the one under way does not. Opened again with the same
    model, prompts and options, the folder goes on, and gives to the last bit what an undisturbed
    run gives; a file that is damaged or lost is made again (`damage` says which). The last four are
    written by `finish` from the log. An error before the first prompt is begun leaves nothing
    behind in a new folder.

        with RunFolder("runs/demo", model, prompts, score="position") as run:
            run.detect()
            result = run.finish()

    The key that tells runs apart is made from these arguments, and `detect` answers with them: a
    run can't go on under other ones.

    Args:
        path: The folder; made if missing.
        model: A TransformerBridge. All its weights are hashed.
        prompts: All prompts of the run, also when a shard of them is answered here.
        hooks: A name for the hooks that are open while `detect` answers, such as "without L2H4".
        name: The model's name, for `run.json`.
        description: What else goes into `run.json`; JSON values.
        shard: The part of the prompts to answer here; None: all.
        save_prompts: Whether a trial's record holds the prompt's token ids.
        choices: What is asked, as in `detect_retrieval_heads`: the fields of `DetectionOptions` by
            name, `score`, `threshold`, `min_recall`, `max_new_tokens` and `stop`.

    Raises:
        OSError: No folder can have this name.
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, there is no prompt, or the path is empty.
    """

    def __init__(
        self,
        path: str | Path,
        model: Bridge,
        prompts: Sequence[NeedlePrompt],
        *,
        hooks: str | None = None,
        name: str | None = None,
        description: Mapping[str, Any] | None = None,
        shard: Shard | None = None,
        save_prompts: bool = False,
        **choices: Unpack[DetectionChoices],
    ) -> None:
        require_bridge(model)
        prompts = require_prompts(prompts)
        for field, text in {"hooks": hooks, "name": name}.items():
            if text is not None:
                require_text(field, text)
        if description is not None:
            require_description("description", description)
        self._model, self._hooks = model, hooks
        self._options = detection_options(model, prompts, **choices)
        described = describe_model(model, name or str(model.cfg.model_name))
        key = run_key(described, prompts, self._options, hooks=hooks)
        whole = {**(description or {}), "model": described}
        super().__init__(path, prompts, key, whole, shard=shard, save_prompts=save_prompts)

    def detect(
        self,
        *,
        execution: Execution = DEFAULT_EXECUTION,
        progress: bool = True,
        until: Until | Literal["stable"] | None = None,
    ) -> None:
        """Answer the prompts that are missing, each kept as its answer ends; then `finish`.

        Args:
            execution: How prompts are read and answers decoded.
            progress: Whether to show a progress bar.
            until: What is to be known before it stops, as in `detect_retrieval_heads`; `finish`
                then takes the prompts that were answered. Not in a shard.

        Raises:
            TypeError: An argument is of another type.
            ValueError: Hooks are open that the folder has no name for, or the other way round; or
                a shard is to stop early.
        """
        if until is not None and self._shard is not None:
            raise ValueError(
                f"Expected a whole run to stop early; found shard {self._shard}. Leave until out, "
                "or run it in one process."
            )
        if not self.missing:
            return
        self._require_named_hooks()
        if self._shard is not None and execution.unit is None:
            execution = replace(execution, unit=unit_for(len(self._prompts), self._shard.of))
        with suppress(NoAcceptedTrialsError):  # `finish` says so, when all parts are there
            result = detect_retrieval_heads(
                self._model,
                self._prompts,
                execution=execution,
                log=self,
                progress=progress,
                until=until,
                **self._options.arguments(),
            )
            self.statement = result.statement

    def _require_named_hooks(self) -> None:
        """Refuse to answer under hooks that the key does not know of."""
        found = self._model.list_hooks(dir="fwd")
        if bool(found) != (self._hooks is not None):
            raise ValueError(
                f"Expected open hooks if the run folder has a name for them, and none without; "
                f"found {list(found)[:2] or 'none'} open and the name {self._hooks!r}. Pass "
                "hooks='what they do' to RunFolder, so that no run goes on without them."
            )
