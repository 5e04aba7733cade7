"""Ways of decoding where documents contradict what a model knows, or do not answer.

Retrieval heads are looked for first. Then greedy decoding, DeCoRe, context-aware decoding,
amplified heads and heads forced to look at the document answer the same questions: about facts that
the model knows by heart, in documents that say something else of them or nothing; and about things
that nobody knows, in documents that tell them or tell something like it.

    python tutorials/decode_against_memory.py --model demo:scholar
    python tutorials/decode_against_memory.py --model Qwen/Qwen2.5-1.5B --facts capitals
"""

import argparse
import random
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from rh_lens import (
    Head,
    Needle,
    build_grid,
    default_needles,
    detect_retrieval_heads,
    load_model,
    load_needles,
    synthetic_haystack,
)
from rh_lens.demo import load_demo_model
from rh_lens.demo.training.corpus import FactWriter
from rh_lens.demo.training.world import other_values, world_facts
from rh_lens.detection import closed_book_check
from rh_lens.prompts import Distractor, load_template
from rh_lens.uses import CitationCase, citation_cases, contrast_quality, memory_cases

WAYS = {
    "greedy": [0.0],
    "DeCoRe entropy": [1.0, 2.0],
    "DeCoRe static": [1.0],
    "context-aware": [0.5, 1.0],
    "amplified": [2.0],
    "attention bonus": [2.0],
}
CAPITALS = (
    "France Paris, Japan Tokyo, Italy Rome, Spain Madrid, Germany Berlin, Egypt Cairo, Peru Lima, "
    "Canada Ottawa, Russia Moscow, China Beijing, Greece Athens, Portugal Lisbon, Norway Oslo, "
    "Sweden Stockholm, Finland Helsinki, Denmark Copenhagen, Austria Vienna, Hungary Budapest, "
    "Poland Warsaw, Ireland Dublin, Cuba Havana, Kenya Nairobi, Turkey Ankara, Iraq Baghdad, "
    "Iran Tehran, Thailand Bangkok, Vietnam Hanoi, Chile Santiago, Colombia Bogota, Ukraine Kyiv"
)
STRANGE = ("distractors", "near miss")
TITLES = {
    "contradicted": ("The document contradicts what is known", "from the document", "from memory"),
    "left out": ("What is known is not in the document", None, "from memory"),
    "distractors": ("The document answers", "right", "another fact of it"),
    "near miss": ("The document does not answer", None, "another fact of it"),
}


def main() -> None:
    """Find heads, answer, and print one table a kind of document."""
    args = _arguments()
    warnings.filterwarnings("ignore")
    began, quiet = time.process_time(), {"progress": False}
    prefix, _, bundled = args.model.partition("demo:")
    model = load_model(args.model) if prefix or not bundled else load_demo_model(bundled)
    template = load_template(args.template, model.tokenizer)
    heads = retrieval_heads(model, args.heads)
    print(f"Retrieval heads: {', '.join(head.label for head in heads)}.")
    facts = known_by_heart(args.facts)
    drawn = random.Random(2).sample(facts, min(args.questions, len(facts)))
    verdicts = closed_book_check(model, drawn)
    known = [one.needle for one in verdicts if one.known]
    print(f"{len(known)} of {len(verdicts)} facts are known without a document.\n")
    options: dict[str, Any] = {"template": template, "max_new_tokens": 20, **quiet}
    # With weak heads, of each way one strength is enough.
    fewer = {way: strengths[:1] for way, strengths in WAYS.items()}
    parts = [(strange(args.questions), WAYS, 1.0)]
    if known:
        others = [(about_memory(known), fewer, factor) for factor in args.weakened]
        parts = [(about_memory(known), WAYS, 1.0), *others, *parts]
    for cases, ways, factor in parts:
        found = contrast_quality(model, cases, heads, ways=ways, weakened=[factor], **options)
        for kind, rows in found.summary().groupby("kind", sort=False):
            print(markdown(str(kind), factor, rows), flush=True)
    print(f"{time.process_time() - began:.0f} CPU seconds.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--model", default="demo:scholar", help="a name, a folder or demo:NAME")
    add("--facts", default="world", help="world (which the model scholar knows), capitals, or a "
        "file of needles with a distractor each, the sentence that contradicts them")  # fmt: skip
    add("--questions", type=int, default=24, help="of each kind")
    add("--heads", type=int, default=8, help="at most as many, the best")
    add("--weakened", type=float, nargs="*", default=[0.3],
        help="factors on the heads' outputs for more tables on what is known")  # fmt: skip
    add("--template", default="base", help="of prompts; one that says to answer \"not stated\" "
        "where the text does not say it makes models refuse that were not trained to")  # fmt: skip
    return parser.parse_args()


def retrieval_heads(model: Any, n: int) -> tuple[Head, ...]:
    """The best heads of a short detection."""
    prompts = build_grid(
        model.tokenizer,
        synthetic_haystack(seed=1),
        default_needles(),
        context_lengths=[192, 256],
        depths=[0.2, 0.8],
    )
    return detect_retrieval_heads(model, prompts, progress=False).heads()[:n]


def known_by_heart(source: str) -> list[Needle]:
    """Facts with a sentence each that contradicts them."""
    if source == "world":
        rng, facts, found = random.Random(0), world_facts(), []
        for place, fact in enumerate(facts):
            said = replace(fact, value=rng.choice(other_values(fact, facts)))
            found.append(_fact(fact.question(place % 3), fact.statement, fact.value,
                               said.statement, said.value))  # fmt: skip
        return found
    if source == "capitals":
        pairs = [pair.split() for pair in CAPITALS.split(", ")]
        wrong = [*pairs[7:], *pairs[:7]]
        return [
            _fact(f"What is the capital of {a}?", f"The capital of {a} is {b}.", b,
                  f"The capital of {a} is {other}.", other)
            for (a, b), (_, other) in zip(pairs, wrong, strict=True)
        ]  # fmt: skip
    return [needle for needle in load_needles(source) if needle.distractors]


def _fact(question: str, text: str, answer: str, other_text: str, other: str) -> Needle:
    return Needle(question, text, answer, distractors=(Distractor(other_text, other),))


def about_memory(facts: Sequence[Needle]) -> list[CitationCase]:
    """Documents that contradict facts, or leave them out."""
    return memory_cases(synthetic_haystack(seed=5), facts, n_characters=300)


def strange(n: int) -> list[CitationCase]:
    """Documents that tell what nobody knows, beside something like it, or only the latter."""
    rng, writer, needles = random.Random(1), FactWriter("held-out"), []
    for _ in range(n):
        asked, near = writer.facts(rng, 2, related=0.8)
        needles.append(replace(asked, distractors=(Distractor(near.text, near.answer),)))
    cases = citation_cases(synthetic_haystack(seed=6), needles, n_characters=300)
    return [case for case in cases if case.kind in STRANGE]


def markdown(kind: str, factor: float, rows: pd.DataFrame) -> str:
    """One kind of document as a table."""
    title, right, other = TITLES[kind]
    shares = {"right": right, "other": other, "refused": '"not stated"', "neither": "neither"}
    columns = {key: name for key, name in shares.items() if name}
    weak = "" if factor == 1 else f", outputs of the retrieval heads times {factor:g}"
    lines = [f"**{title}** ({rows['n'].iloc[0]} questions{weak})", ""]
    lines.append(_line(["way", "strength", *columns.values(), "CPU s"]))
    lines.append("|" + "---|" * (len(columns) + 3))
    for row in rows.to_dict("records"):
        said = [f"{row[key]:.2f} [{row[f'{key}_low']:.2f}, {row[f'{key}_high']:.2f}]"
                for key in columns]  # fmt: skip
        strength = f"{row['strength']:g}" if row["strength"] else ""
        lines.append(_line([row["method"], strength, *said, f"{row['seconds']:.2f}"]))
    return "\n".join([*lines, ""])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
