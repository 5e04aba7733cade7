"""Measure a demo model on held-out prompts: `python -m rh_lens.demo.evaluate FOLDER`."""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rh_lens.demo.abilities import evaluate_tasks
from rh_lens.demo.bundled import DEMO_MODEL_FOLDER
from rh_lens.demo.card import write_card
from rh_lens.demo.card_tables import THRESHOLD
from rh_lens.demo.load import load_demo_model
from rh_lens.demo.occasions import occasion_scores
from rh_lens.demo.silencing import silencing_table
from rh_lens.demo.training.held_out import HaystackKind, held_out_prompts
from rh_lens.demo.training_picture import plot_training
from rh_lens.detection import RetrievalResult, detect_retrieval_heads
from rh_lens.files import replacing
from rh_lens.heads import Head
from rh_lens.prompts import NeedlePrompt
from rh_lens.runs import describe_model
from rh_lens.runtime import Bridge, StopRule, answer_prompts

# The longest prompt leaves room for the answer in the 2,048 positions that were trained.
LENGTHS = (128, 256, 512, 1024, 2016)
MAX_ANSWER = 32
N_DEPTHS, N_NEEDLES = 11, 20
# Seeds used for nothing else; training has seed 0 unless told otherwise.
EXACT_SEED, SCORE_SEED = 20_001, 30_001
# Prompts a length that share neither needle nor text, and the seed of the first.
N_VARIED, VARIED_SEED = 60, 80_001
EVALUATION = "evaluation.json"
PARTS = ("exact answers", "varied answers", "tasks", "scores", "ablation")
"""What is measured, in this order."""

HAYSTACKS: tuple[HaystackKind, ...] = ("synthetic", "pydoc")


def exact_answers(model: Bridge, prompts: Sequence[NeedlePrompt]) -> list[bool]:
    """Whether greedy decoding says each needle's answer, a full stop and the end of sequence."""
    stop = StopRule(frozenset({model.tokenizer.eos_token_id}))
    exact = [False] * len(prompts)
    for answers in answer_prompts(model, prompts, max_new_tokens=MAX_ANSWER, stop=stop):
        for answer in answers.values():
            needle, said = prompts[answer.index].needle, answer.generation
            exact[answer.index] = said.stop_reason == "eos" and said.text == f" {needle.answer}."
    return exact


def exact_shares(model: Bridge, haystack: HaystackKind) -> dict[str, Any]:
    """Share of exact answers by prompt length and by requested depth; prompts and needles."""
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
        "n needles": N_NEEDLES,
        "n by length": dict(Counter(str(prompt.context_length) for prompt in prompts)),
        "by length": _shares(prompts, exact, lambda prompt: str(prompt.context_length)),
        "by depth": _shares(prompts, exact, lambda prompt: f"{prompt.requested_depth:.1f}"),
    }


def varied_prompts(model: Bridge, length: int) -> list[NeedlePrompt]:
    """Held-out prompts of a length that share neither needle nor text, at depths in turn."""
    return [
        prompt
        for place in range(N_VARIED)
        for prompt in held_out_prompts(
            model.tokenizer,
            context_lengths=(length,),
            depths=(place % N_DEPTHS / (N_DEPTHS - 1),),
            n_needles=1,
            seed=VARIED_SEED + 10_000 * place,
        )
    ]


def varied_counts(model: Bridge) -> dict[str, Any]:
    """How many prompts that are independent draws are answered exactly, by length.

    In a grid, all prompts of a length share the needles and a text.
    """
    prompts = [prompt for length in LENGTHS for prompt in varied_prompts(model, length)]
    exact = exact_answers(model, prompts)
    counts = Counter(
        str(prompt.context_length) for prompt, hit in zip(prompts, exact, strict=True) if hit
    )
    return {"n": N_VARIED, "exact": {str(length): counts[str(length)] for length in LENGTHS}}


def head_scores(model: Bridge) -> RetrievalResult:
    """Retrieval scores of every head on held-out prompts of 256 to 1,024 tokens."""
    prompts = held_out_prompts(
        model.tokenizer, context_lengths=(256, 512, 1024), depths=5, n_needles=8, seed=SCORE_SEED
    )
    return detect_retrieval_heads(model, prompts)


def ablation_table(model: Bridge, position: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Answers with the retrieval heads of a table of scores silenced, one more at a time."""
    places = [
        (-score, Head(layer, head))
        for layer, scores in enumerate(position)
        for head, score in enumerate(scores)
    ]
    ranking = [head for _, head in sorted(places)]
    return silencing_table(model, ranking, sum(-score >= THRESHOLD for score, _ in places))


def evaluate(folder: Path, parts: Sequence[str] = PARTS) -> dict[str, Any]:
    """Everything that the model's card reports; kept in `evaluation.json` part by part.

    Parts that were measured before, of the same weights, stay unless they are asked for.

    Args:
        folder: Of the model.
        parts: Some of `PARTS`. The ablation rests on the scores, which are measured where they are
            missing.
    """
    model = load_demo_model(folder)
    described = describe_model(model, folder.name)
    kept = folder / EVALUATION
    found = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    if found.get("model", {}).get("weights_sha256") != described["weights_sha256"]:
        found = {}
    found["model"] = described
    measures: dict[str, Callable[[], Any]] = {
        "exact answers": lambda: {kind: exact_shares(model, kind) for kind in HAYSTACKS},
        "varied answers": lambda: varied_counts(model),
        "tasks": lambda: evaluate_tasks(model),
        "scores": lambda: _scores(model),
        "ablation": lambda: ablation_table(model, found["scores"]["position"]),
    }
    for part, measure in measures.items():
        if part in parts or (part == "scores" and "ablation" in parts and part not in found):
            found[part] = measure()
            text = json.dumps(found, indent=1, allow_nan=False) + "\n"
            with replacing(kept) as temporary:
                temporary.write_text(text, encoding="utf-8")
    return found


def _scores(model: Bridge) -> dict[str, Any]:
    result = head_scores(model)
    return {
        "n_accepted": len(result.accepted),
        "n_trials": len(result.trials),
        "position": result.scores.mean().tolist(),
        "occasions": occasion_scores(result),
    }


def _shares(
    prompts: Sequence[NeedlePrompt], exact: Sequence[bool], key: Callable[[NeedlePrompt], str]
) -> dict[str, float]:
    groups: dict[str, list[bool]] = defaultdict(list)
    for prompt, hit in zip(prompts, exact, strict=True):
        groups[key(prompt)].append(hit)
    return {name: sum(hits) / len(hits) for name, hits in groups.items()}


def evaluate_and_describe(folder: Path, parts: Sequence[str] = PARTS) -> str:
    """Measure; write `evaluation.json` and the card next to the weights; return the card."""
    evaluate(folder, parts)
    plot_training(folder)
    return write_card(folder)


def main() -> None:
    """Command line: evaluate the model in a folder, the first bundled one by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=DEMO_MODEL_FOLDER)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS, help="what to measure; "
        "the rest is taken from evaluation.json; none: write the card anew")  # fmt: skip
    args = parser.parse_args()
    print(evaluate_and_describe(args.folder, args.parts))


if __name__ == "__main__":
    main()
