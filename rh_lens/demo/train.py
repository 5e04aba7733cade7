"""Train the demo model from nothing: `python -m rh_lens.demo.train`."""

import argparse
import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from rh_lens.demo.curriculum import learning_rate, stage_at, total_steps
from rh_lens.demo.documents import Document, DocumentWriter
from rh_lens.demo.head_dropout import HeadDropout
from rh_lens.demo.initialise import initialise
from rh_lens.demo.tokenizer import train_tokenizer

VOCABULARY = 2048
MAX_LENGTH = 2048
# The loss is that of the answers plus a tenth of that of a sample of all other tokens.
REST_WEIGHT, REST_SAMPLE = 0.1, 0.125
STEPS_PER_CHECKPOINT = 500
STEPS_PER_LOG = 100


def new_model(seed: int) -> LlamaForCausalLM:
    """The demo model at step 0."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=MAX_LENGTH,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    model = LlamaForCausalLM._from_config(config, attn_implementation="sdpa")
    initialise(model, seed)
    return model


@dataclass
class Trainer:
    """Everything that changes from step to step, so that a run can stop and go on."""

    tokenizer: PreTrainedTokenizerFast
    model: LlamaForCausalLM
    seed: int
    step: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.writer = DocumentWriter(self.tokenizer, self.rng)
        self.dropout = HeadDropout(self.model, layers=(0, 1))
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), betas=(0.9, 0.97), weight_decay=0.05, fused=True
        )
        torch.manual_seed(self.seed)

    def train_step(self) -> dict[str, float]:
        """One optimiser step; returns the losses in nats a token and the share of exact answers."""
        stage = stage_at(self.step)
        self.dropout.chance = stage.drop_heads
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, total_steps())
        loss, measures = loss_of(self.model, self.writer.batch(stage))
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        return measures

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        state = {
            "seed": self.seed,
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": self.rng.getstate(),
            "torch_rng": torch.get_rng_state(),
        }
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: It belongs to a run with another seed.
        """
        state = torch.load(path, weights_only=False)
        if state["seed"] != self.seed:
            raise ValueError(
                f"Expected a checkpoint of seed {self.seed}; {path} has seed {state['seed']}. "
                "Give that seed or another --out."
            )
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.setstate(state["rng"])
        torch.set_rng_state(state["torch_rng"])


def loss_of(
    model: LlamaForCausalLM, documents: Sequence[Document]
) -> tuple[Tensor, dict[str, float]]:
    """Loss of a batch, and its parts as plain numbers."""
    device = model.device
    tokens = torch.from_numpy(np.stack([document.tokens for document in documents])).to(device)
    is_answer = torch.from_numpy(np.stack([document.answers for document in documents]))[:, 1:]
    is_rest = ~is_answer & (torch.rand(is_answer.shape) < REST_SAMPLE)
    target = tokens[:, 1:]
    with torch.autocast(device.type, torch.bfloat16):
        hidden = model.model(tokens[:, :-1]).last_hidden_state
        chosen = torch.cat([hidden[is_answer.to(device)], hidden[is_rest.to(device)]])
        logits = model.lm_head(chosen).float()
    answer_logits, rest_logits = logits.split([int(is_answer.sum()), int(is_rest.sum())])
    answer_loss = cross_entropy(answer_logits, target[is_answer])
    rest_loss = cross_entropy(rest_logits, target[is_rest])
    right = (answer_logits.argmax(dim=-1) == target[is_answer]).cpu()
    measures = {
        "answer_loss": answer_loss.item(),
        "rest_loss": rest_loss.item(),
        "exact": exact_share(right, is_answer),
    }
    return answer_loss + REST_WEIGHT * rest_loss, measures


def exact_share(right: Tensor, is_answer: Tensor) -> float:
    """Share of unbroken answers of which every token is right."""
    starts = is_answer & ~is_answer.roll(1, dims=1).index_fill(1, torch.tensor(0), False)
    answer = starts.flatten().cumsum(0)[is_answer.flatten()] - 1
    wrong = torch.zeros(int(starts.sum())).index_add(0, answer, (~right).float())
    return (wrong == 0).float().mean().item()


def train(trainer: Trainer, folder: Path) -> None:
    """Run the curriculum from where the trainer stands, with checkpoints and a log."""
    log: list[dict[str, float]] = []
    steps = range(trainer.step, total_steps())
    bar = tqdm(steps, initial=trainer.step, total=total_steps(), desc="training", unit="step")
    for _ in bar:
        log.append(trainer.train_step())
        if trainer.step % STEPS_PER_LOG == 0 or trainer.step == total_steps():
            means = {key: float(np.mean([entry[key] for entry in log])) for key in log[0]}
            bar.set_postfix({key: f"{value:.3f}" for key, value in means.items()})
            length = stage_at(trainer.step - 1).length
            with (folder / "training_log.jsonl").open("a") as file:
                file.write(json.dumps({"step": trainer.step, "length": length, **means}) + "\n")
            log.clear()
        if trainer.step % STEPS_PER_CHECKPOINT == 0 or trainer.step == total_steps():
            trainer.save(folder / "checkpoint.pt")


def main() -> None:
    """Command line of the training script."""
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
    checkpoint = args.out / "checkpoint.pt"
    if checkpoint.exists():
        trainer.load(checkpoint)
    train(trainer, args.out)
    weights = args.out / "weights"
    tokenizer.save_pretrained(weights)
    trainer.model.to(torch.float16).save_pretrained(weights)


if __name__ == "__main__":
    main()
