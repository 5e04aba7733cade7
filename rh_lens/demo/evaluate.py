"""Measure a demo model on held-out prompts: `python -m rh_lens.demo.evaluate FOLDER`."""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from rh_lens.demo.bundled import DEMO_MODEL_FOLDER
from rh_lens.demo.card import write_card
from rh_lens.demo.load import load_demo_model
from rh_lens.demo.training.held_out import HaystackKind, held_out_prompts
from rh_lens.detection import RetrievalResult, detect_retrieval_heads
from rh_lens.heads import Head
from rh_lens.interventions import control_heads, zero_ablation
from rh_lens.prompts import NeedlePrompt
from rh_lens.runs import describe_model
from rh_lens.runtime import Bridge, StopRule, answer_prompts

# The longest prompt leaves room for the answer in the 2,048 positions that were trained.
LENGTHS = (128, 256, 512, 1024, 2016)
MAX_ANSWER = 32
N_DEPTHS, N_NEEDLES = 11, 20
# Seeds used for nothing else; training has seed 0 unless told otherwise.
EXACT_SEED, SCORE_SEED = 20_001, 30_001
N_CONTROL_DRAWS = 10


def exact_answers(model: Bridge, prompts: Sequence[NeedlePrompt]) -> list[bool]:
    """Whether greedy decoding says each needle's answer, a full stop and the end of sequence."""
    stop = StopRule(frozenset({model.tokenizer.eos_token_id}))
    exact = [False] * len(prompts)
    for answers in answer_prompts(model, prompts, max_new_tokens=MAX_ANSWER, stop=stop):
        for answer in answers.values():
            needle, said = prompts[answer.index].needle, answer.generation
            exact[answer.index] = said.stop_reason == "eos" and said.text == f" {needle.answer}."
    return exact


def exact_shares(model: Bridge, haystack: HaystackKind) -> dict[str, dict[str, float]]:
    """Share of exact answers by prompt length and by requested depth."""
    prompts = held_out_prompts(
        model.tokenizer,
        context_lengths=LENGTHS,
        depths=N_DEPTHS,
        n_needles=N_NEEDLES,
        seed=EXACT_SEED,
        haystack=haystack,
    )
    exact = exact_answers(model, prompts)
    return {
        "by length": _shares(prompts, exact, lambda prompt: str(prompt.context_length)),
        "by depth": _shares(prompts, exact, lambda prompt: f"{prompt.requested_depth:.1f}"),
    }


def head_scores(model: Bridge) -> RetrievalResult:
    """Retrieval scores of every head on held-out prompts of 256 to 1,024 tokens."""
    prompts = held_out_prompts(
        model.tokenizer, context_lengths=(256, 512, 1024), depths=5, n_needles=8, seed=SCORE_SEED
    )
    return detect_retrieval_heads(model, prompts)


def ablation_table(model: Bridge, result: RetrievalResult) -> dict[str, Any]:
    """Exact answers with the top heads silenced, and with as many others of the same layers."""
    prompts = held_out_prompts(
        model.tokenizer, context_lengths=(512,), depths=N_DEPTHS, n_needles=5, seed=EXACT_SEED
    )

    def share(heads: Sequence[Head]) -> float:
        with model.hooks(fwd_hooks=zero_ablation(heads)):
            return sum(exact_answers(model, prompts)) / len(prompts)

    retrieval = result.heads()
    rows = []
    for k in tqdm(range(len(retrieval) + 1), desc="ablations", unit="row"):
        row = {"k": k, "heads": [head.label for head in retrieval[:k]]}
        row["exact"] = share(retrieval[:k])
        if k:
            draws = _controls(model, retrieval, k)
            controls = [share(draw) for draw in draws]
            row["n_draws"] = len(draws)
            row["control_mean"] = sum(controls) / len(controls)
            row["control_min"] = min(controls)
        rows.append(row)
    return {"n_prompts": len(prompts), "rows": rows}


def evaluate(folder: Path) -> dict[str, Any]:
    """Everything that the model's card reports."""
    model = load_demo_model(folder)
    result = head_scores(model)
    return {
        "model": describe_model(model, folder.name),
        "n_prompts": len(LENGTHS) * N_DEPTHS * N_NEEDLES,
        "exact answers": {
            "synthetic": exact_shares(model, "synthetic"),
            "pydoc": exact_shares(model, "pydoc"),
        },
        "scores": {
            "n_accepted": len(result.accepted),
            "n_trials": len(result.trials),
            "position": result.scores.mean().tolist(),
        },
        "ablation": ablation_table(model, result),
    }


def _controls(model: Bridge, retrieval: Sequence[Head], k: int) -> tuple[tuple[Head, ...], ...]:
    """Distinct sets of k heads of the first k's layers that are no retrieval heads."""
    return control_heads(
        retrieval[:k],
        n_layers=model.cfg.n_layers,
        n_heads=model.cfg.n_heads,
        n_draws=N_CONTROL_DRAWS,
        match="layer",
        exclude=retrieval,
    ).draws


def _shares(
    prompts: Sequence[NeedlePrompt], exact: Sequence[bool], key: Callable[[NeedlePrompt], str]
) -> dict[str, float]:
    groups: dict[str, list[bool]] = defaultdict(list)
    for prompt, hit in zip(prompts, exact, strict=True):
        groups[key(prompt)].append(hit)
    return {name: sum(hits) / len(hits) for name, hits in groups.items()}


def evaluate_and_describe(folder: Path) -> str:
    """Measure; write `evaluation.json` and the card next to the weights; return the card."""
    evaluation = evaluate(folder)
    text = json.dumps(evaluation, indent=1) + "\n"
    (folder / "evaluation.json").write_text(text, encoding="utf-8")
    return write_card(folder, evaluation)


def main() -> None:
    """Command line: evaluate the model in a folder, the bundled one by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=DEMO_MODEL_FOLDER)
    print(evaluate_and_describe(parser.parse_args().folder))


if __name__ == "__main__":
    main()
