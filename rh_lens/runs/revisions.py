"""Heads over a training: the revisions of a model on the hub, one after the other."""

import gc
import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch
from tqdm.auto import tqdm

from rh_lens.analysis.emergence import Emergence, Moment
from rh_lens.checks import (
    require_flag,
    require_list,
    require_number,
    require_path,
    require_text,
    require_type,
    require_whole_number,
    shown,
)
from rh_lens.files import read_bytes, replacing
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.runs.moments import moment_of, moment_record, named_moment, score_moment
from rh_lens.runs.provenance import package_versions, prompts_sha256, tokenizer_sha256
from rh_lens.runs.reserve import reserve_folder
from rh_lens.runs.run_key import key_differences
from rh_lens.runtime import Bridge, load_model

KEY = "revisions.json"
"""The file of a sweep's folder that says what it is."""

_FORMAT = 1
# Packages that can't move a score.
_NO_NUMBERS = ("python", "numpy", "pandas")


def score_revisions(
    name: str | Path,
    revisions: Sequence[str],
    prompts: Iterable[NeedlePrompt],
    *,
    folder: str | Path | None = None,
    tokens_per_step: int | float | None = None,
    max_new_tokens: int | None = None,
    dtype: torch.dtype = torch.float32,
    progress: bool = True,
    **loading: Any,
) -> Emergence:
    """Scores of every head at each revision of a model: when retrieval appears, and in which heads.

        revisions = ["step1000", "step8000", "step64000", "step143000"]
        score_revisions("EleutherAI/pythia-160m", revisions, prompts, folder="pythia",
                        tokens_per_step=2_097_152)

    Pythia's revisions are `stepN`, of 2,097,152 tokens a step; OLMo's tell steps and tokens. The
    models are loaded one after the other, each freed before the next. One that can't be loaded or
    scored is warned of, named in `failed`, and tried again when the call is repeated.

    Args:
        name: Hub name of the model.
        revisions: Commits, tags or branches, in the order of the training.
        prompts: Needle prompts, in tokens of the model; see `score_moment` for what is measured.
        folder: Where each revision's scores are kept as they end, a small file each. The same call
            goes on there, and scores only what is missing. None: they are kept in memory.
        tokens_per_step: Tokens in one step of the training, where names tell steps only.
        max_new_tokens: Longest answer in tokens; None: by the needles.
        dtype: Precision of the weights.
        progress: Whether to show a progress bar over the revisions.
        loading: What else `load_model` takes, such as `device`.

    Raises:
        BlockingIOError: Another process writes to the folder.
        OSError: The folder can't be written.
        TypeError: An argument is of another type.
        ValueError: An argument is out of range, the folder holds another sweep or damaged files, or
            no revision could be scored.

    Examples:
        >>> from rh_lens.demo import DEMO_MODEL_FOLDER
        >>> score_revisions(DEMO_MODEL_FOLDER, ["step10"], prompts[:2], progress=False)
        Emergence(1 moments, 4 layers of 8 heads; recall 1.00 to 1.00)
    """
    require_path("name", name)
    revisions, prompts = _require_revisions(revisions), require_prompts(prompts)
    if tokens_per_step is not None:
        require_number("tokens_per_step", tokens_per_step, above=0)
    if max_new_tokens is not None:
        require_whole_number("max_new_tokens", max_new_tokens, at_least=1)
    require_type("dtype", dtype, torch.dtype, remedy="Pass one such as torch.float32.")
    require_flag("progress", progress)

    def score(revision: str) -> Moment:
        step, tokens = named_moment(revision, tokens_per_step)
        model = load_model(name, revision=revision, dtype=dtype, progress=False, **loading)
        _require_same_tokens(model, prompts)
        known: dict[str, Any] = {"name": revision, "step": step, "tokens": tokens}
        return score_moment(model, prompts, **known, max_new_tokens=max_new_tokens)

    bar = tqdm(revisions, desc=str(name), unit="revision", disable=not progress)
    if folder is None:
        return _sweep(bar, score, None)
    key = {
        "format": _FORMAT,
        "model": str(name),
        "prompts_sha256": prompts_sha256(prompts),
        "max_new_tokens": max_new_tokens,
        "tokens_per_step": tokens_per_step,
        "dtype": str(dtype),
        "n_ctx": loading.get("n_ctx"),
        "versions": {one: n for one, n in package_versions().items() if one not in _NO_NUMBERS},
    }
    with reserve_folder(folder) as reserved:
        _begin_or_go_on(reserved, key)
        return _sweep(bar, score, reserved)


def _sweep(
    revisions: Iterable[str], score: Callable[[str], Moment], folder: Path | None
) -> Emergence:
    """Score what the folder has not; a revision that fails takes none of the others with it."""
    moments, failed = list[Moment](), dict[str, str]()
    for revision in revisions:
        found = _read(folder, revision)
        if found is None:
            try:
                found = score(revision)
            except (OSError, RuntimeError, ValueError) as error:
                failed[revision] = f"{type(error).__name__}: {shown(str(error), 300)}"
                warnings.warn(
                    f"Expected scores at revision {shown(revision)}; found {failed[revision]}. The "
                    "others go on; repeat the call to try this one again.",
                    stacklevel=3,
                )
            # A model is a large circle of references: the next one needs its room.
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if found is None:
                continue
            _write(folder, found)
        moments.append(found)
    if not moments:
        raise ValueError(
            f"Expected a revision that can be scored; found none of {len(failed)}. The first: "
            f"{next(iter(failed.values()))} Check the names of the model and its revisions."
        )
    return Emergence(tuple(moments), failed)


def _require_revisions(revisions: Sequence[str]) -> tuple[str, ...]:
    listed = require_list("revisions", revisions, str, at_least=1)
    for revision in listed:
        require_text("revisions", revision)
    if len(set(listed)) < len(listed):
        raise ValueError(
            f"Expected revisions that are all different; found {shown(list(listed))}. Name each "
            "once."
        )
    return tuple(listed)


def _require_same_tokens(model: Bridge, prompts: Sequence[NeedlePrompt]) -> None:
    """Refuse a model that reads the prompts' tokens otherwise than they were made."""
    made = next((one.tokenizer for one in prompts if one.tokenizer is not None), None)
    if made is not None and tokenizer_sha256(made) != tokenizer_sha256(model.tokenizer):
        raise ValueError(
            "Expected prompts in tokens of the model; found that they were made with another "
            "tokenizer. Make them with the one of a revision."
        )


def _begin_or_go_on(folder: Path, key: Mapping[str, Any]) -> None:
    """Say in the folder what it holds, if nothing does; refuse one that holds something else."""
    path = folder / KEY
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(key, indent=1) + "\n", encoding="utf-8")
        return
    there = _json(path)
    if differences := key_differences(there, key):
        raise ValueError(
            f"Expected the revisions in {str(folder)!r} to be scored alike; found that they differ "
            f"in {shown(differences, 400)}. Repeat the call as it was, or choose another folder."
        )


def _file(folder: Path, revision: str) -> Path:
    """A revision's file; its name may hold what a file's may not."""
    return folder / f"revision-{quote(revision, safe='')}.json"


def _read(folder: Path | None, revision: str) -> Moment | None:
    if folder is None or not _file(folder, revision).exists():
        return None
    path = _file(folder, revision)
    try:
        return moment_of(_json(path))
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"Expected scores of a revision in {str(path)!r}; found a damaged file "
            f"({type(error).__name__}). Remove it, and the revision is scored again."
        ) from error


def _write(folder: Path | None, moment: Moment) -> None:
    if folder is not None:
        with replacing(_file(folder, moment.name)) as temporary:
            text = json.dumps(moment_record(moment), allow_nan=False)
            temporary.write_text(text + "\n", encoding="utf-8")


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"Expected JSON in {str(path)!r}; found {type(error).__name__}. Remove the file."
        ) from error
    if not isinstance(found, dict):
        raise ValueError(
            f"Expected an object in {str(path)!r}; found {type(found).__name__}. Remove the file."
        )
    return found
