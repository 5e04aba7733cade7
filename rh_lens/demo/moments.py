"""Heads over the training of a demo model: `python -m rh_lens.demo.moments RUN`."""

import argparse
import json
import math
from contextlib import suppress
from pathlib import Path

import pandas as pd

from rh_lens.analysis import Emergence, Moment, emergence_of
from rh_lens.checks import require_number, require_text
from rh_lens.demo.bundled import demo_folder, demo_models
from rh_lens.demo.load import load_demo_model
from rh_lens.demo.training.held_out import held_out_prompts
from rh_lens.files import replacing, usable_path
from rh_lens.prompts import NeedlePrompt
from rh_lens.runs.moments import moment_of, moment_record, score_moment
from rh_lens.runs.weights import weights_sha256
from rh_lens.runtime import Bridge

SNAPSHOTS = "snapshots.csv"
"""The table of a run, and of a bundled model that has one."""

# Used for nothing else.
SNAPSHOT_SEED = 60_001
LENGTHS, DEPTHS, N_NEEDLES = (128, 256, 512), (0.0, 1.0), 5
_DIGITS = 4
_KEPT, _WHEN = "scores.json", "moment.json"


def snapshots(model: str | Path = "scholar") -> Emergence:
    """Scores of every head of a bundled model at several moments of its training.

    Args:
        model: Name of the bundled model, or the folder of one that has a `snapshots.csv`.

    Raises:
        OSError: The table can't be read.
        TypeError: It is neither a text nor a path.
        ValueError: There is no such model, or it has no such table.

    Examples:
        >>> from pathlib import Path
        >>> from rh_lens.analysis import Emergence
        >>> from rh_lens.runs import score_moment
        >>> folder = Path("run")
        >>> folder.mkdir()
        >>> moments = Emergence((score_moment(model, prompts[:2], name="500", step=500),))
        >>> moments.to_dataframe().to_csv(folder / "snapshots.csv", index=False)
        >>> snapshots(folder).moment_table()[["moment", "recall", "exact"]]
          moment  recall  exact
        0    500     1.0    1.0
    """
    path = demo_folder(model) / SNAPSHOTS
    if not path.is_file():
        have = [one for one, folder in demo_models().items() if (folder / SNAPSHOTS).is_file()]
        raise ValueError(
            f"Expected a model with {SNAPSHOTS} beside its weights; found none in "
            f"{str(path.parent)!r}. Bundled models that have one: {', '.join(have) or 'none'}."
        )
    return emergence_of(pd.read_csv(path, dtype={"moment": str}))


def snapshot_prompts(model: Bridge) -> list[NeedlePrompt]:
    """The held-out prompts of 128 to 512 tokens that every moment is asked."""
    return held_out_prompts(
        model.tokenizer,
        context_lengths=LENGTHS,
        depths=DEPTHS,
        n_needles=N_NEEDLES,
        seed=SNAPSHOT_SEED,
    )


def score_weights(
    folder: str | Path, *, name: str, step: int | float = math.nan, tokens: float = math.nan
) -> Moment:
    """Scores of every head of the model in a folder, in Hugging Face format.

    Args:
        folder: Of weights and tokenizer.
        name: Of the moment.
        step: Optimiser steps done, if known.
        tokens: Tokens trained on, if known.

    Raises:
        OSError: There is no such folder.
        TypeError: An argument is of another type.
        ValueError: The files are damaged.

    Examples:
        >>> score_weights(DEMO_MODEL_FOLDER, name="last")
        Moment('last': recall 0.90, 27 of 30 accepted)
    """
    require_text("name", name)
    for field, value in {"step": step, "tokens": tokens}.items():
        if value == value:
            require_number(field, value, at_least=0)
    model = load_demo_model(Path(usable_path("folder", folder)))
    return score_moment(model, snapshot_prompts(model), name=name, step=step, tokens=tokens)


def score_moments(run: str | Path) -> pd.DataFrame:
    """Score the weights that a training kept on its way, and write `snapshots.csv` to its folder.

    Each moment's scores are kept beside its weights (`scores.json`), and are not made again while
    the weights are the same. Tokens come from `moment.json` there; without one from the line of
    `training_log.jsonl` with the last step up to the moment's.

    Args:
        run: Folder with `snapshots/STEP/weights`, or the weights in `snapshots/STEP` itself.

    Returns:
        The table of `Emergence.to_dataframe`, with scores to four places.

    Raises:
        OSError: There is no such folder, or it can't be written.
        TypeError: It is no path.
        ValueError: It holds no moment, or damaged files.

    Examples:
        >>> import shutil
        >>> at_500 = shutil.copytree(DEMO_MODEL_FOLDER, "run/snapshots/500")
        >>> score_moments("run").columns[:5].tolist()
        ['moment', 'step', 'tokens', 'layer', 'head']
    """
    run = usable_path("run", run)
    steps = sorted(
        (int(path.name), path)
        for path in (run / "snapshots").glob("*")
        if path.name.isdecimal() and path.is_dir()
    )
    if not steps:
        raise ValueError(
            f"Expected weights in folders such as {str(run / 'snapshots' / '500')!r}; found none. "
            "Name the folder of a training that kept some."
        )
    log = _tokens_by_step(run / "training_log.jsonl")
    moments = [_score_kept(folder, step, _tokens_at(log, folder, step)) for step, folder in steps]
    table = Emergence(tuple(moments)).to_dataframe().round(_DIGITS)
    with replacing(run / SNAPSHOTS) as temporary:
        table.to_csv(temporary, index=False)
    return table


def _score_kept(folder: Path, step: int, tokens: float) -> Moment:
    """The scores of a moment, made anew where they are missing or of other weights."""
    weights = folder / "weights" if (folder / "weights").is_dir() else folder
    model = load_demo_model(weights)
    prompts = snapshot_prompts(model)
    made_of = {"weights": weights_sha256(model), "prompts": [one.sha256 for one in prompts]}
    kept = folder / _KEPT
    with suppress(OSError, ValueError, KeyError):
        record = json.loads(kept.read_text(encoding="utf-8"))
        if record["made_of"] == made_of:
            return moment_of(record)
    moment = score_moment(model, prompts, name=str(step), step=step, tokens=tokens)
    with replacing(kept) as temporary:
        text = json.dumps({**moment_record(moment), "made_of": made_of}, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return moment


def _tokens_by_step(log: Path) -> dict[int, float]:
    """Tokens trained on at each logged step, where the log tells them."""
    if not log.exists():
        return {}
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return {int(line["step"]): float(line["tokens"]) for line in lines if "tokens" in line}


def _tokens_at(log: dict[int, float], folder: Path, step: int) -> float:
    """Tokens that a moment tells of itself; else those at the last logged step up to it."""
    if (folder / _WHEN).exists():
        return float(json.loads((folder / _WHEN).read_text(encoding="utf-8"))["tokens"])
    known = [logged for logged in log if logged <= step]
    if known:
        return log[max(known)]
    return 0.0 if step == 0 else math.nan


def main() -> None:
    """Command line: score the moments of a training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of the training")
    table = score_moments(parser.parse_args().run)
    print(emergence_of(table).moment_table().to_string(index=False))


if __name__ == "__main__":
    main()
