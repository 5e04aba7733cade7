"""Head scores of the family: what `rh-lens compare` shows without arguments."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from rh_lens.demo.load import load_demo_model
from rh_lens.demo.training.held_out import held_out_prompts
from rh_lens.detection import RetrievalResult, RetrievalScores, detect_retrieval_heads
from rh_lens.formats import read_head_scores, write_head_scores
from rh_lens.prompts import NeedlePrompt
from rh_lens.prompts.template import Template
from rh_lens.runs import prompts_sha256, weights_sha256
from rh_lens.runtime import Bridge

FAMILY_FOLDER = Path(__file__).parent / "family_data"
"""Folder of the bundled family's head scores: a file for each member, and `members.json`."""

N_KV_HEADS = 4
"""Key-value heads in a layer of every member."""

# Inside the window of the base, whose longest training document has 256 tokens.
LENGTHS, N_DEPTHS, N_NEEDLES = (128, 200), 4, 8
# Used for nothing else.
FAMILY_SEED = 40_001


def load_family_scores(folder: str | Path = FAMILY_FOLDER) -> dict[str, RetrievalScores]:
    """Head scores of each member of the family, by name.

    A base model of short contexts, its continuation on longer ones, its tuning on another prompt
    format, and two models of other seeds, on the same held-out needles.

    Args:
        folder: Another one that `python -m rh_lens.demo.family` wrote.
    """
    members = json.loads((Path(folder) / "members.json").read_text(encoding="utf-8"))
    return {
        name: read_head_scores(Path(folder) / f"{name}.json", name=member["score"])
        for name, member in members.items()
    }


def family_prompts(model: Bridge, template: Template) -> list[NeedlePrompt]:
    """The held-out prompts that every member is asked, in its own format."""
    return held_out_prompts(
        model.tokenizer,
        context_lengths=LENGTHS,
        depths=N_DEPTHS,
        n_needles=N_NEEDLES,
        seed=FAMILY_SEED,
        template=template,
    )


def score_member(weights: Path, template: Template) -> tuple[RetrievalResult, dict[str, Any]]:
    """Retrieval scores of one member, and what they were measured on.

    Args:
        weights: Folder of the model in Hugging Face format.
        template: The format it was trained to be asked in.
    """
    model = load_demo_model(weights)
    prompts = family_prompts(model, template)
    result = detect_retrieval_heads(model, prompts, progress=False)
    return result, {
        "score": result.scores.name,
        "n_trials": len(result.trials),
        "n_accepted": len(result.accepted),
        "heads": [head.label for head in result.heads()],
        "template": template.name,
        "prompts_sha256": prompts_sha256(prompts),
        "weights_sha256": weights_sha256(model),
    }


def write_member(
    folder: Path, name: str, scores: RetrievalScores, description: dict[str, Any]
) -> None:
    """Write a member's scores, to four places, and its entry in `members.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    rounded = replace(scores, values=torch.round(scores.values, decimals=4))
    write_head_scores(rounded, folder / f"{name}.json")
    index = folder / "members.json"
    members = json.loads(index.read_text(encoding="utf-8")) if index.exists() else {}
    members[name] = description
    index.write_text(json.dumps(members, indent=1) + "\n", encoding="utf-8")
