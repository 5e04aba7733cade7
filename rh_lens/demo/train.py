"""Train the demo model from nothing: `python -m rh_lens.demo.train`."""

import argparse
import json
import os
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from rh_lens.demo.evaluate import evaluate_and_describe
from rh_lens.demo.training.architecture import MAX_LENGTH, VOCABULARY, new_model
from rh_lens.demo.training.checkpoint import read_checkpoint, write_checkpoint
from rh_lens.demo.training.curriculum import (
    CURRICULUM,
    PEAK_LEARNING_RATE,
    Stage,
    learning_rate,
    stage_at,
    total_steps,
)
from rh_lens.demo.training.documents import DocumentWriter
from rh_lens.demo.training.head_dropout import HeadDropout
from rh_lens.demo.training.loss import batch_loss
from rh_lens.demo.training.tokenizer import train_tokenizer
from rh_lens.files import open_to_append
from rh_lens.prompts.template import BASE_TEMPLATE, Template

CHECKPOINT = "checkpoint.safetensors"
STEPS_PER_CHECKPOINT = 500
STEPS_PER_LOG = 100


@dataclass
class Trainer:
    """Everything that changes from step to step, so that a run can stop and go on.

    Args:
        tokenizer: The model's tokenizer.
        model: The model, at step 0.
        seed: Seed of the text and of the order; the weights have theirs already.
        curriculum: The stages.
        step: Optimiser steps done.
        n_filler_sentences: Sentences of prose to draw from.
        template: How questions are asked.
        peak_learning_rate: Highest learning rate.
    """

    tokenizer: PreTrainedTokenizerFast
    model: LlamaForCausalLM
    seed: int
    curriculum: tuple[Stage, ...] = CURRICULUM
    step: int = 0
    n_filler_sentences: int = 40_000
    template: Template = BASE_TEMPLATE
    peak_learning_rate: float = PEAK_LEARNING_RATE

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.writer = DocumentWriter(
            self.tokenizer,
            self.rng,
            n_filler_sentences=self.n_filler_sentences,
            template=self.template,
        )
        self.dropout = HeadDropout(self.model, layers=(0, 1))
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), betas=(0.9, 0.97), weight_decay=0.05, fused=True
        )
        torch.manual_seed(self.seed)

    @property
    def n_steps(self) -> int:
        """Optimiser steps of the whole run."""
        return total_steps(self.curriculum)

    def train_step(self) -> dict[str, float]:
        """One optimiser step; returns what `batch_loss` measures."""
        stage = stage_at(self.step, self.curriculum)
        self.dropout.chance = stage.drop_heads
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.n_steps, self.peak_learning_rate)
        loss, measures = batch_loss(self.model, self.writer.batch(stage))
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        return measures

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        weights = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        write_checkpoint(
            path,
            values={"seed": self.seed, "step": self.step, "rng": self.rng.getstate()},
            tensors={**weights, "torch_rng": torch.get_rng_state()},
            optimizer=self.optimizer,
        )

    def load(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: It belongs to a run with another seed, or is no checkpoint.
        """
        values, tensors, moments = read_checkpoint(path)
        if values["seed"] != self.seed:
            raise ValueError(
                f"Expected a checkpoint of seed {self.seed}; {path} has seed {values['seed']}. "
                "Give that seed or another --out."
            )
        self.step = values["step"]
        torch.set_rng_state(tensors.pop("torch_rng"))
        weights = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
        self.model.load_state_dict(weights)
        self.optimizer.load_state_dict(moments)
        version, state, gauss = values["rng"]
        self.rng.setstate((version, tuple(state), gauss))


def train(trainer: Trainer, folder: Path) -> None:
    """Run the curriculum from where the trainer is, with checkpoints and a log in `folder`."""
    log: list[dict[str, float]] = []
    steps = range(trainer.step, trainer.n_steps)
    bar = tqdm(steps, initial=trainer.step, total=trainer.n_steps, desc="training", unit="step")
    for _ in bar:
        log.append(trainer.train_step())
        last = trainer.step == trainer.n_steps
        if trainer.step % STEPS_PER_LOG == 0 or last:
            means = {key: float(np.mean([entry[key] for entry in log])) for key in log[0]}
            bar.set_postfix({key: f"{value:.3f}" for key, value in means.items()})
            length = stage_at(trainer.step - 1, trainer.curriculum).length
            line = json.dumps({"step": trainer.step, "length": length, **means}) + "\n"
            with open_to_append(folder / "training_log.jsonl") as file:
                file.write(line.encode())
            log.clear()
        if trainer.step % STEPS_PER_CHECKPOINT == 0 or last:
            trainer.save(folder / CHECKPOINT)


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


def save_weights(trainer: Trainer, folder: Path) -> None:
    """Write model (fp16) and tokenizer in Hugging Face format."""
    trainer.tokenizer.save_pretrained(folder)
    trainer.model.to(torch.float16).save_pretrained(folder)


def main() -> None:
    """Command line: train, or go on with a run that was stopped; then evaluate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo_training"), help="run folder")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, text and order")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(vocabulary=VOCABULARY, max_length=MAX_LENGTH, seed=args.seed)
    trainer = Trainer(tokenizer, new_model(args.seed).to(args.device), args.seed)
    go_on(trainer, args.out)
    train(trainer, args.out)
    save_weights(trainer, args.out / "weights")
    print(evaluate_and_describe(args.out / "weights"))


if __name__ == "__main__":
    main()
