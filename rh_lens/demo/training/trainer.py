"""A training under way: model, text, optimiser, and what is needed to stop and go on."""

import random
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from rh_lens.demo.training.checkpoint import read_checkpoint, write_checkpoint
from rh_lens.demo.training.curriculum import stage_at, total_steps
from rh_lens.demo.training.head_dropout import HeadDropout
from rh_lens.demo.training.loss import batch_loss
from rh_lens.demo.training.recipe import FINDER, Recipe

# Up to this length plain attention is faster on a CPU than the fused one.
LONGEST_EAGER = 512
# Shapes of batches, with heads silenced and without, that compiled passes are kept for.
MAX_COMPILED = 32


@dataclass
class Trainer:
    """Everything that changes from step to step, so that a run can stop and go on.

    Args:
        tokenizer: The model's tokenizer.
        model: The model, at step 0.
        seed: Seed of the text and of the order; the weights have theirs already.
        recipe: What it is trained on, and how.
        step: Optimiser steps done.
        compiled: Whether the passes are compiled, which takes a C++ compiler and a minute a length,
            and then about half the time.
    """

    tokenizer: PreTrainedTokenizerFast
    model: LlamaForCausalLM
    seed: int
    recipe: Recipe = FINDER
    step: int = 0
    compiled: bool = False

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.writer = self.recipe.writer(
            self.tokenizer, self.rng, n_filler_sentences=self.recipe.n_filler_sentences
        )
        self.dropout = HeadDropout(self.model, self.recipe.drop_layers)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), betas=(0.9, 0.97), weight_decay=0.05, fused=True
        )
        self._ready_for = 0
        if self.compiled:
            # Lengths may come in turns: what was compiled for each is kept.
            torch._dynamo.config.recompile_limit = MAX_COMPILED
            self.model.model.compile(dynamic=False)
        torch.manual_seed(self.seed)

    @property
    def n_steps(self) -> int:
        """Optimiser steps of the whole run."""
        return total_steps(self.recipe.stages)

    @property
    def n_tokens(self) -> int:
        """Tokens read up to this step."""
        left, tokens = self.step, 0
        for stage in self.recipe.stages:
            n_steps = min(left, stage.n_steps)
            tokens += n_steps * stage.length * stage.batch
            left -= n_steps
        return tokens

    def train_step(self) -> dict[str, float]:
        """One optimiser step; returns what `batch_loss` measures."""
        stage = stage_at(self.step, self.recipe.stages)
        self._make_ready(stage.length)
        if self.step in self.recipe.first_steps:
            self.optimizer.state.clear()
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate(self.step)
        documents = self.writer.batch(stage)
        self.dropout.draw(len(documents), stage.drop_heads, stage.drop_attention)
        loss, measures = batch_loss(self.model, documents)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        return measures

    def _make_ready(self, length: int) -> None:
        """Choose the fastest attention on a CPU for documents of a length."""
        if length == self._ready_for:
            return
        self._ready_for = length
        self.model.set_attn_implementation("eager" if length <= LONGEST_EAGER else "sdpa")

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
