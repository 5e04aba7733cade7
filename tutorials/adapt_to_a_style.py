"""Adapt the bundled model to a new style of asking: which weights have to move for it?

Questions come as "Q. ...\\nA." where the model knows "Question: ...\\nAnswer:"; it answers none of
them at first. Three arms learn from the same documents: the retrieval heads only, as many random
heads, all weights. Each arm's learning rate is the one that does best on needles of its own.

    python tutorials/adapt_to_a_style.py --steps 60 --seeds 3
    python tutorials/adapt_to_a_style.py --steps 60 --seeds 2 --rest 0.1
"""

import argparse
import random
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch.nn.functional import cross_entropy

from rh_lens import build_grid, default_needles, detect_retrieval_heads, synthetic_haystack
from rh_lens.demo import load_demo_model
from rh_lens.demo.training.documents import DocumentWriter
from rh_lens.demo.training.held_out import held_out_needles
from rh_lens.evaluation import mean_interval, needle_recall, perplexity
from rh_lens.heads import Head
from rh_lens.interventions import control_heads
from rh_lens.prompts import BASE_TEMPLATE, Template
from rh_lens.uses import trainable_heads

STYLE = Template("letters", "{context}\nQ. {question}\nA.")
LENGTH, BATCH, MAX_FACTS = 128, 8, 3
RATES = {"heads": (1e-3, 3e-3, 1e-2), "all": (3e-4, 1e-3)}


@dataclass(frozen=True)
class Arm:
    """Which weights move: of these heads, or all."""

    name: str
    heads: tuple[Head, ...] | None

    @property
    def rates(self) -> tuple[float, ...]:
        """Learning rates to choose from."""
        return RATES["all" if self.heads is None else "heads"]


class Study:
    """The bundled model, and what it is asked."""

    def __init__(self, n_steps: int, rest: float) -> None:
        self.model = load_demo_model()
        self.n_steps, self.rest = n_steps, rest
        self.hf_model = self.model.original_model
        self.before = {name: value.clone() for name, value in self.hf_model.state_dict().items()}
        self.prose = synthetic_haystack(n_sentences=60)
        self.choosing = self.grid(held_out_needles(12, 76), STYLE)
        self.new = self.grid(held_out_needles(24, 77), STYLE)
        self.old = self.grid(held_out_needles(24, 78), BASE_TEMPLATE)
        text = "\n".join(synthetic_haystack(seed=9, n_sentences=60).documents)
        self.text = self.model.tokenizer(text, return_tensors="pt").input_ids[0][:1024]

    def grid(self, needles: Sequence[Any], template: Template) -> Any:
        """A prompt for each needle."""
        return build_grid(
            self.model.tokenizer, self.prose, needles, context_lengths=[LENGTH], depths=[0.3],
            template=template, n_distractors=0,
        )  # fmt: skip

    def heads(self) -> tuple[Head, ...]:
        """Those with a score of 0.1 or more."""
        prompts = self.grid(default_needles(), BASE_TEMPLATE)
        return tuple(detect_retrieval_heads(self.model, prompts, progress=False).heads())

    def train(self, arm: Arm, rate: float, seed: int) -> dict[str, Any]:
        """The model from its first state on; what moved, and the CPU seconds it took."""
        self.hf_model.load_state_dict(self.before)
        began = time.process_time()
        if arm.heads is None:
            n_moved = sum(one.numel() for one in self.hf_model.parameters())
            self._fit(self.hf_model.parameters(), rate, seed)
        else:
            with trainable_heads(self.model, arm.heads, shared=True) as trainable:
                n_moved = trainable.n_parameters
                self._fit(trainable.parameter_groups(), rate, seed)
        return {"moved": n_moved, "seconds": time.process_time() - began}

    def _fit(self, parameters: Iterable[Any], rate: float, seed: int) -> None:
        """AdamW on the answers and a part of the rest, ten steps of warming up, then down to 0."""
        writer = DocumentWriter(
            self.model.tokenizer, random.Random(seed), n_filler_sentences=300, template=STYLE
        )
        optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01)
        for step in range(self.n_steps):
            for group in optimiser.param_groups:
                group["lr"] = rate * min(1, (step + 1) / 10) * (1 - step / self.n_steps)
            documents = [writer.questions(LENGTH, MAX_FACTS) for _ in range(BATCH)]
            tokens = torch.stack([torch.from_numpy(one.tokens) for one in documents])
            is_answer = torch.stack([torch.from_numpy(one.answers) for one in documents])[:, 1:]
            losses = self._losses(tokens)
            loss = losses[is_answer].mean() + self.rest * losses[~is_answer].mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    def _losses(self, tokens: torch.Tensor) -> torch.Tensor:
        logits = self.hf_model(tokens[:, :-1]).logits
        return cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")

    def answers(self, prompts: Any) -> pd.DataFrame:
        """What the model says, one row a prompt."""
        return needle_recall(self.model, prompts, progress=False).answers

    def perplexity(self) -> float:
        """Of prose that nothing else holds."""
        found = perplexity(self.model, self.text, window=LENGTH, n_windows=6)
        return float(found["perplexity"].iloc[0])

    def best_rate(self, arm: Arm) -> float:
        """By recall of needles that are asked for nothing else."""
        recalls = {}
        for rate in arm.rates:
            self.train(arm, rate, seed=100)
            recalls[rate] = self.answers(self.choosing)["recall"].mean()
            print(f"  {arm.name}: rate {rate:g}, recall {recalls[rate]:.2f}", flush=True)
        return max(recalls, key=lambda rate: recalls[rate])


def summary(name: str, rate: float, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds; intervals are over needles."""
    row: dict[str, Any] = {"arm": name, "rate": rate, "moved": runs[0]["moved"]}
    for kind in ("new", "old"):
        table = torch.tensor([run[kind]["recall"].tolist() for run in runs]).numpy()
        found = mean_interval(table, runs[0][kind]["needle"].tolist())
        row[f"{kind} recall"] = f"{found.mean:.2f} [{found.low:.2f}, {found.high:.2f}]"
        row[f"{kind} exact"] = " ".join(f"{run[kind]['exact'].mean():.2f}" for run in runs)
    row["perplexity"] = " ".join(f"{run['perplexity']:.1f}" for run in runs)
    row["CPU s"] = sum(run["seconds"] for run in runs) / len(runs)
    return row


def main() -> None:
    """Train and measure every arm."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rest", type=float, default=0.0, help="weight of all other tokens' loss")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    study = Study(args.steps, args.rest)
    top = study.heads()
    drawn = control_heads(top, n_layers=4, n_heads=8, n_draws=args.seeds, seed=0).draws
    print("retrieval heads", *top, "; random heads", *drawn)
    arms = {
        "retrieval heads": [top] * args.seeds,
        "random heads": drawn,
        "all": [None] * args.seeds,
    }
    untrained = {"moved": 0, "seconds": 0.0, "new": study.answers(study.new)}
    untrained |= {"old": study.answers(study.old), "perplexity": study.perplexity()}
    rows = [summary("none", 0.0, [untrained])]
    for name, sets in arms.items():
        rate, runs = study.best_rate(Arm(name, sets[0])), []
        for seed, heads in enumerate(sets):
            run = study.train(Arm(name, heads), rate, seed)
            run |= {"new": study.answers(study.new), "old": study.answers(study.old)}
            runs.append(run | {"perplexity": study.perplexity()})
        rows.append(summary(name, rate, runs))
        print(pd.DataFrame(rows).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
