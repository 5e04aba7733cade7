"""Train the bundled models from nothing: `python -m rh_lens.demo.train [finder|scholar]`."""

import argparse
import json
import math
import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from rh_lens.demo.evaluate import evaluate_and_describe
from rh_lens.demo.moments import score_moments
from rh_lens.demo.training.architecture import MAX_LENGTH, VOCABULARY, new_model
from rh_lens.demo.training.curriculum import stage_at
from rh_lens.demo.training.growth import grow
from rh_lens.demo.training.initialise import MATCHING_LAYER
from rh_lens.demo.training.recipe import FINDER, SCHOLAR, Recipe
from rh_lens.demo.training.tokenizer import train_tokenizer
from rh_lens.demo.training.trainer import Trainer
from rh_lens.files import open_to_append

CHECKPOINT = "checkpoint.safetensors"
SNAPSHOTS = "snapshots"
STEPS_PER_CHECKPOINT = 500
STEPS_PER_LOG = 100
# Facts that the tokenizer is learnt from.
N_LINES, QUICK_LINES = 40_000, 2_000


def train(trainer: Trainer, folder: Path, *, moments: Collection[int] = ()) -> None:
    """Run all stages from where the trainer is, with checkpoints and a log in `folder`.

    Args:
        trainer: What is trained.
        folder: Where its files go.
        moments: Steps at which the weights are put aside, in `snapshots/STEP/weights`.
    """
    log: list[dict[str, float]] = []
    if trainer.step == 0 and 0 in moments:
        put_aside(trainer, folder)
    steps = range(trainer.step, trainer.n_steps)
    bar = tqdm(steps, initial=trainer.step, total=trainer.n_steps, desc="training", unit="step")
    for _ in bar:
        log.append(trainer.train_step())
        last = trainer.step == trainer.n_steps
        if trainer.step % STEPS_PER_LOG == 0 or last:
            means = {key: float(np.nanmean([entry[key] for entry in log])) for key in log[0]}
            bar.set_postfix({key: f"{value:.3f}" for key, value in means.items()})
            line = json.dumps({**_described(trainer), **means}) + "\n"
            with open_to_append(folder / "training_log.jsonl") as file:
                file.write(line.encode())
            log.clear()
        if trainer.step in moments:
            put_aside(trainer, folder)
        if trainer.step % STEPS_PER_CHECKPOINT == 0 or last:
            trainer.save(folder / CHECKPOINT)


def put_aside(trainer: Trainer, folder: Path) -> None:
    """Write the weights of this moment to `snapshots/STEP/weights`, and when it was beside them."""
    moment = folder / SNAPSHOTS / f"{trainer.step:06d}"
    save_weights(trainer.tokenizer, trainer.model, moment / "weights")
    text = json.dumps({"step": trainer.step, "tokens": trainer.n_tokens})
    (moment / "moment.json").write_text(text, encoding="utf-8")


def go_on(trainer: Trainer, folder: Path) -> None:
    """Have the trainer go on from the checkpoint in `folder`, if there is one.

    Raises:
        ValueError: It is none, of another seed, or of a version that wrote pickles.
    """
    if (folder / CHECKPOINT).exists():
        trainer.load(folder / CHECKPOINT)
    elif (folder / "checkpoint.pt").exists():
        raise ValueError(
            f"Expected {CHECKPOINT} in {str(folder)!r}; found checkpoint.pt, which is not read: a "
            "pickle can run code. Move it away to begin anew, or choose another --out."
        )


def save_weights(tokenizer: PreTrainedTokenizerFast, model: LlamaForCausalLM, folder: Path) -> None:
    """Write a copy of the model in fp16, and its tokenizer, in Hugging Face format."""
    tokenizer.save_pretrained(folder)
    copied = LlamaForCausalLM(deepcopy(model.config))
    copied.load_state_dict(model.state_dict())
    copied.to(torch.float16).save_pretrained(folder)


def train_finder(args: argparse.Namespace) -> Path:
    """Train the first model in `args.out/finder`; returns the folder of its weights."""
    n_lines = QUICK_LINES if args.quick else N_LINES
    tokenizer = train_tokenizer(
        vocabulary=VOCABULARY, max_length=MAX_LENGTH, seed=args.seed, n_lines=n_lines
    )
    return _trained(args, FINDER, tokenizer, new_model(args.seed))


def train_scholar(args: argparse.Namespace) -> Path:
    """Grow the first model and teach it more in `args.out/scholar`; trains the first if need be."""
    start = args.start or args.out / FINDER.name / "weights"
    # Written last: a folder without it was interrupted.
    if not (start / "model.safetensors").exists():
        start = train_finder(args)
    tokenizer = AutoTokenizer.from_pretrained(start)
    first = LlamaForCausalLM.from_pretrained(start, dtype=torch.float32)
    leaning = None if "lean" in args.without else MATCHING_LAYER
    return _trained(args, SCHOLAR, tokenizer, grow(first, args.seed, leaning))


def _trained(
    args: argparse.Namespace,
    recipe: Recipe,
    tokenizer: PreTrainedTokenizerFast,
    model: LlamaForCausalLM,
) -> Path:
    """Train a model by its recipe, or go on with it; returns the folder of its weights."""
    folder = args.out / recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(
        tokenizer,
        model.to(args.device),
        args.seed,
        _changed(args, recipe),
        compiled=args.compile,
    )
    go_on(trainer, folder)
    train(trainer, folder, moments=trainer.recipe.moments if args.snapshots else ())
    save_weights(tokenizer, trainer.model, folder / "weights")
    return folder / "weights"


def _changed(args: argparse.Namespace, recipe: Recipe) -> Recipe:
    """The recipe as the command line wants it."""
    if "dropout" in args.without:
        recipe = recipe.without_dropout()
    if args.million_tokens is not None:
        recipe = recipe.shortened(args.million_tokens)
    return recipe.quick() if args.quick else recipe


def _described(trainer: Trainer) -> dict[str, int]:
    """Where a training is, for its log."""
    length = stage_at(trainer.step - 1, trainer.recipe.stages).length
    return {"step": trainer.step, "length": length, "tokens": trainer.n_tokens}


def _positive(text: str) -> float:
    """A number above 0 of the command line."""
    with suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"expected a number above 0; found {text!r}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: train, or go on with a run that was stopped; then evaluate."""
    parser = argparse.ArgumentParser(description=__doc__)
    trained = {FINDER.name: train_finder, SCHOLAR.name: train_scholar}
    parser.add_argument("model", nargs="?", choices=trained, default=FINDER.name, help="which one")
    parser.add_argument("--out", type=Path, default=Path("demo_training"), help="run folder")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, text and order")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads")
    parser.add_argument("--quick", action="store_true", help="a few steps, to try the pipeline")
    parser.add_argument(
        "--start", type=Path, metavar="WEIGHTS", help="weights of a first model that is there"
    )
    parser.add_argument(
        "--compile", action="store_true", help="compile the passes: needs a C++ compiler; faster"
    )
    parser.add_argument(
        "--snapshots",
        action="store_true",
        help="put the weights aside at about 15 moments, and score their heads (snapshots.csv)",
    )
    parser.add_argument(
        "--million-tokens",
        type=_positive,
        metavar="N",
        help="fewer tokens, in every stage alike, none in closing ones; what comes out is not "
        "measured",
    )
    parser.add_argument(
        "--without", nargs="+", choices=("lean", "dropout"), default=(),
        help="leave out heads of the second model that move or lean at step 0, or are silenced",
    )  # fmt: skip
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    weights = trained[args.model](args)
    if args.snapshots:
        score_moments(weights.parent)
    if not args.quick and args.million_tokens is None:
        print(evaluate_and_describe(weights))


if __name__ == "__main__":
    main()
