"""A demo model's card: `README.md` next to the weights, from what was measured and written."""

import json
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from rh_lens.analysis import emergence_of
from rh_lens.demo.card_tables import (
    THRESHOLD,
    exact_table,
    group_table,
    missed_goals,
    moment_rows,
    occasion_table,
    score_table,
    seed_likeness,
    seed_table,
    silencing_rows,
    task_table,
    varied_table,
)
from rh_lens.demo.training_picture import PICTURE

Section = Callable[[Path, Mapping[str, Any]], str]
"""A part of the card from the model's folder and its `evaluation.json`; blank: left out."""


def write_card(folder: Path) -> str:
    """Write `README.md` into the model's folder; returns its text."""
    text = card(folder)
    (folder / "README.md").write_text(text, encoding="utf-8")
    return text


def card(folder: Path) -> str:
    """The card's text, from the files of the model's folder.

    | file | |
    |---|---|
    | `evaluation.json` | what `rh_lens.demo.evaluate` measured |
    | `config.json` | sizes |
    | `about.md` | written by hand: what the model is for, and what it knows |
    | `training.md` | written by hand: how it was trained |
    | `training.png` | losses and shares over the training |
    | `snapshots.csv` | heads over the training |
    | `seeds.json` | scores of other seeds: `{seed: {"scores": [[...]], "exact": ...}}` |
    | `notes.md` | written by hand: what worked, and what did not |

    Each but the first two may be missing.
    """
    evaluation = _json(folder / "evaluation.json")
    parts = [section(folder, evaluation) for section in SECTIONS]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def _about(folder: Path, evaluation: Mapping[str, Any]) -> str:
    model, config = evaluation["model"], _json(folder / "config.json")
    sizes = f"""A Llama of {model["n_parameters"] / 1e6:.2f} million parameters (RoPE, RMSNorm,
grouped-query attention: {model["n_layers"]} layers of {model["n_heads"]} query heads and
{model["n_key_value_heads"]} key-value heads; byte-level BPE of {config["vocab_size"]:,} tokens;
contexts of up to {config["max_position_embeddings"]:,} tokens)."""
    return f"""# The bundled model{_name(folder)}

{_filled(sizes)}

{_written(folder, "about.md")}

The tables below were written by `python -m rh_lens.demo.evaluate`; `evaluation.json` has all
numbers."""


def _exact(folder: Path, evaluation: Mapping[str, Any]) -> str:
    exact = evaluation.get("exact answers")
    if not exact:
        return ""
    counts = [n for shares in exact.values() for n in shares["n by length"].values()]
    n_needles = next(iter(exact.values()))["n needles"]
    what = f"""Share of held-out prompts that greedy decoding answers exactly: every token of the
needle's answer, a full stop and the end of sequence. {min(counts)} to {max(counts)} distinct
prompts a length and haystack, about {n_needles} needles each (short texts have few places).
Names, words and numbers of the needles and of the synthetic haystack occur nowhere in training;
that haystack holds about four other facts of the same form (one or two in 128 tokens). The pydoc
haystack is prose that ships with Python; no such text was seen in training."""
    return f"""## Exact answers

{_filled(what)}

{exact_table(exact, "by length", "tokens")}

{exact_table(exact, "by depth", "depth")}{_varied(evaluation, n_needles)}"""


def _varied(evaluation: Mapping[str, Any], n_needles: int) -> str:
    varied = evaluation.get("varied answers")
    if not varied:
        return ""
    what = f"""Prompts of a length above share {n_needles} needles and a text, so that a cell says
little of other needles. Here each has a needle and a synthetic text of its own, {varied["n"]} a
length."""
    return f"\n\n{_filled(what)}\n\n{varied_table(varied)}"


def _tasks(folder: Path, evaluation: Mapping[str, Any]) -> str:
    tasks = evaluation.get("tasks")
    if not tasks:
        return ""
    missed = missed_goals(tasks)
    told = f"Below their goal: {', '.join(missed)}." if missed else "Each reaches its goal."
    return f"""## Tasks

Items of held-out names, words and numbers, but where knowledge is asked for.

{_filled(told)}

{task_table(tasks)}"""


def _scores(folder: Path, evaluation: Mapping[str, Any]) -> str:
    scores = evaluation.get("scores")
    if not scores:
        return ""
    position = scores["position"]
    what = f"""Position score, mean over the {scores["n_accepted"]} accepted of
{scores["n_trials"]} held-out prompts of 256 to 1,024 tokens. Bold: {THRESHOLD:g} or more."""
    return f"""## Retrieval scores of all heads

{_filled(what)}

{score_table(position)}

{group_table(position)}{_occasions(scores)}"""


def _occasions(scores: Mapping[str, Any]) -> str:
    if "occasions" not in scores:
        return ""
    what = """When they copy: the mean score in prompts of each length and by what the answer has (a
number; a name and no number; neither), and the share of those prompts of which the head copies
anything. In brackets the number of prompts."""
    return f"""

{_filled(what)}

{occasion_table(scores["position"], scores["occasions"])}"""


def _silencing(folder: Path, evaluation: Mapping[str, Any]) -> str:
    ablation = evaluation.get("ablation")
    if not ablation:
        return ""
    n_needles = ablation["n_needles"]
    what = f"""Exact answers to {ablation["n_prompts"]} held-out prompts of {ablation["length"]}
tokens, about {n_needles} needles, with the heads silenced (z := 0), one more in each row. How the
others fail: the shares of all answers that retrieved too little, by kind; what retrieved enough and
is not exact is in none of these columns. Beside them as many other heads of the same layers, no
retrieval head among them: distinct sets, mean and lowest, and how many left as few answers or
fewer. The needle is the unit: over {n_needles} of them, a share of one half is known to
{_half_width(n_needles):.2f} either way (95 %). The others of a layer are quiet heads; as loud ones
do harm too."""
    return f"""## Without its heads

{_filled(what)}

{silencing_rows(ablation["rows"])}"""


def _half_width(n_needles: int) -> float:
    """Of the 95 % interval of a share of one half, by the normal approximation."""
    return float(1.96 * (0.25 / n_needles) ** 0.5)


def _training(folder: Path, evaluation: Mapping[str, Any]) -> str:
    written, picture = _written(folder, "training.md"), ""
    if (folder / PICTURE).exists():
        picture = f"![Losses and shares of right answers over the training]({PICTURE})"
    if not written and not picture:
        return ""
    return f"## Training\n\n{written}\n\n{picture}"


def _emergence(folder: Path, evaluation: Mapping[str, Any]) -> str:
    path = folder / "snapshots.csv"
    if not path.exists():
        return ""
    emergence = emergence_of(pd.read_csv(path, dtype={"moment": str}))
    what = f"""Answers to {emergence.moments[-1].n_prompts} held-out prompts of 128 to 512
tokens, how many heads score {THRESHOLD:g} or more in right answers, and when fed the answer; and
the highest induction score. `rh_lens.demo.snapshots({folder.name!r})` has every head."""
    return f"""## Heads over the training

{_filled(what)}

{moment_rows(emergence)}"""


def _seeds(folder: Path, evaluation: Mapping[str, Any]) -> str:
    path = folder / "seeds.json"
    if not path.exists():
        return ""
    seeds = {str(seed): found for seed, found in _json(path).items()}
    likeness = f"\n\n{seed_likeness(seeds)}" if len(seeds) > 1 else ""
    return f"""## Other seeds

The same recipe on a smaller budget, from other seeds. Which head does what is free to differ:
heads compared by their place can be strangers where the sorted scores are alike.

{seed_table(seeds)}{likeness}"""


def _notes(folder: Path, evaluation: Mapping[str, Any]) -> str:
    written = _written(folder, "notes.md")
    return f"## What worked, what did not\n\n{written}" if written else ""


SECTIONS: tuple[Section, ...] = (
    _about,
    _exact,
    _tasks,
    _scores,
    _silencing,
    _training,
    _emergence,
    _seeds,
    _notes,
)
"""The card in its order."""


def _filled(text: str) -> str:
    """A paragraph in lines of up to 100 characters."""
    return textwrap.fill(" ".join(text.split()), 100, break_long_words=False)


def _name(folder: Path) -> str:
    return "" if folder.name == "weights" else f" {folder.name}"


def _written(folder: Path, name: str) -> str:
    """A text written by hand, blank where there is none."""
    path = folder / name
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
