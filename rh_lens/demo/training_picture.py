"""Loss and exact answers over the training of a demo model, as a small picture."""

import json
from pathlib import Path
from typing import Any

from rh_lens.files import replacing
from rh_lens.views.drawing import DASHES, LINES, new_figure

PICTURE = "training.png"
MAX_BYTES = 60_000
_LOG = "training_log.jsonl"
_DECADES = 100
# Of the log's own columns: where a line belongs, not what was measured there.
_PLACES = ("step", "tokens", "length", "stage", "seconds", "lr", "learning_rate")


def plot_training(folder: Path) -> Path | None:
    """Write `training.png` beside the weights, from the `training_log.jsonl` there or one above.

    Losses above, shares (such as exact answers) below, over tokens where the log has them, else
    over steps; on a log axis, as most happens early, where they span two decades or more.

    Args:
        folder: Of the weights.

    Returns:
        The picture; None where there is no log.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: A line of the log is no JSON, or the picture is larger than 60 KB.
    """
    logs = [one / _LOG for one in (folder, folder.parent) if (one / _LOG).is_file()]
    if not logs:
        return None
    lines = [json.loads(line) for line in logs[0].read_text(encoding="utf-8").splitlines()]
    across = "tokens" if all("tokens" in line for line in lines) else "step"
    names = [name for name in lines[-1] if name not in _PLACES]
    losses = [name for name in names if "loss" in name]
    shares = [name for name in names if name not in losses]
    figure = new_figure(6.0, 4.2)
    above, below = figure.subplots(2, 1, sharex=True)
    for axes, drawn in ((above, losses), (below, shares)):
        for place, name in enumerate(drawn[: len(LINES)]):
            _draw(axes, lines, across, name, place)
        axes.grid(axis="y", color="#e0e0e0", lw=0.6)
        if drawn:
            axes.legend(frameon=False, fontsize=7.5)
    above.set(ylabel="loss", ylim=(0, None))
    first, last = lines[0][across], lines[-1][across]
    # A log axis of a single decade has labels that overlap.
    scale = "log" if last >= _DECADES * first > 0 else "linear"
    below.set(ylabel="share", ylim=(-0.03, 1.03), xscale=scale)
    below.set_xlabel("tokens trained on" if across == "tokens" else "optimiser steps")
    path = folder / PICTURE
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=90, format="png")
        if (size := temporary.stat().st_size) > MAX_BYTES:
            raise ValueError(
                f"Expected a picture of at most {MAX_BYTES} bytes; found {size}. Log fewer lines."
            )
    return path


def _draw(axes: Any, lines: list[dict[str, Any]], across: str, name: str, place: int) -> None:
    known = [(line[across], line[name]) for line in lines if line.get(name) is not None]
    style = {"color": LINES[place], "ls": DASHES[place], "lw": 1.0}
    axes.plot(*zip(*known, strict=True), label=name.replace("_", " "), **style)
