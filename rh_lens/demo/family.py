"""A small family of demo models, trained and scored: `python -m rh_lens.demo.family`.

A base that knows short contexts, its continuation on longer ones, its tuning on another prompt
format, and two models of other seeds. The seed chooses the layer and the heads that lean towards
retrieval at step 0, so that relatives may share heads by descent and strangers only by chance.
"""

import argparse
import os
import random
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from rh_lens.demo.family_scores import score_member, write_member
from rh_lens.demo.train import go_on, save_weights, train
from rh_lens.demo.training.architecture import MAX_LENGTH, VOCABULARY, new_model
from rh_lens.demo.training.curriculum import PEAK_LEARNING_RATE, Stage
from rh_lens.demo.training.documents import DocumentWriter
from rh_lens.demo.training.recipe import Recipe
from rh_lens.demo.training.tokenizer import train_tokenizer
from rh_lens.demo.training.trainer import Trainer
from rh_lens.prompts.template import BASE_TEMPLATE, Template

BASE = (
    Stage(96, 16, 1.0, max_facts=2, repeated=0.4, drop_heads=0.0),
    Stage(192, 8, 4.0, max_facts=5, repeated=0.2, drop_heads=0.0),
    Stage(256, 8, 3.0, max_facts=8, repeated=0.1, drop_heads=0.05),
)
LONGER = (
    Stage(512, 4, 2.0, max_facts=18, repeated=0.1, drop_heads=0.05),
    Stage(1024, 2, 2.0, max_facts=36, repeated=0.0, drop_heads=0.05),
)
TUNING = (Stage(256, 8, 1.5, max_facts=8, repeated=0.0, drop_heads=0.05),)
DIALOGUE = Template("dialogue", "{context}\n\n[reader] {question}\n[librarian]")
# A model that is trained on goes on more gently than one that starts from nothing.
CONTINUED_LEARNING_RATE = PEAK_LEARNING_RATE / 2


@dataclass(frozen=True)
class Member:
    """One model of the family.

    Args:
        name: Its folder.
        seed: Seed of its text and, without a parent, of its weights.
        curriculum: What it is trained on.
        parent: Name of the model it continues; None for one that starts from nothing.
        template: How its training documents ask.
    """

    name: str
    seed: int
    curriculum: tuple[Stage, ...]
    parent: str | None = None
    template: Template = BASE_TEMPLATE


FAMILY = (
    Member("base", 0, BASE),
    Member("longer", 10, LONGER, parent="base"),
    Member("dialogue", 20, TUNING, parent="base", template=DIALOGUE),
    Member("stranger-1", 1, BASE),
    Member("stranger-2", 2, BASE),
)
"""Parents come before their descendants."""


def matching_layer(seed: int) -> int:
    """The layer after the first that a seed chooses for the heads that lean towards matching."""
    return 1 + random.Random(seed).randrange(3)


def train_member(
    member: Member,
    tokenizer: PreTrainedTokenizerFast,
    out: Path,
    *,
    n_filler_sentences: int = 40_000,
) -> None:
    """Train one model, or go on with it, unless its weights are already in `out`."""
    folder = out / member.name
    # Written last: a folder without it was interrupted.
    if (folder / "weights" / "model.safetensors").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(
        member.name,
        member.curriculum,
        partial(DocumentWriter, template=member.template),
        peak_learning_rate=CONTINUED_LEARNING_RATE if member.parent else PEAK_LEARNING_RATE,
        n_filler_sentences=n_filler_sentences,
    )
    trainer = Trainer(tokenizer, _start(member, out), member.seed, recipe)
    go_on(trainer, folder)
    train(trainer, folder)
    save_weights(tokenizer, trainer.model, folder / "weights")


def _start(member: Member, out: Path) -> LlamaForCausalLM:
    """The weights that a member's training starts from."""
    if member.parent is None:
        return new_model(member.seed, matching_layer(member.seed))
    return LlamaForCausalLM.from_pretrained(
        out / member.parent / "weights", dtype=torch.float32, attn_implementation="sdpa"
    )


def score(member: Member, out: Path) -> None:
    """Score one member's heads; write them and its entry in `members.json` to `out/scores`."""
    result, measured = score_member(out / member.name / "weights", member.template)
    described = {"parent": member.parent, "seed": member.seed} | measured
    write_member(out / "scores", member.name, result.scores, described)


def main() -> None:
    """Command line: train the family and score its heads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("demo_family"), help="folder of the models"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these models; default: all")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    tokenizer = train_tokenizer(vocabulary=VOCABULARY, max_length=MAX_LENGTH, seed=0)
    for member in FAMILY:
        if args.only is None or member.name in args.only:
            train_member(member, tokenizer, args.out)
            score(member, args.out)


if __name__ == "__main__":
    main()
