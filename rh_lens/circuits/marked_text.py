"""Short texts with parts at known tokens: whose name comes where, what is asked of whom."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from rh_lens.checks import require_seed, require_text, require_whole_number, shown
from rh_lens.prompts.pieces import require_tokenizer
from rh_lens.representation import short_repr


@dataclass(frozen=True, eq=False)
class MarkedText:
    """A text as token ids, and where its parts stand.

    Args:
        tokens: Token ids, with the special ones that the tokenizer adds.
        spans: Half-open token positions of each part, by name.
        text: The text.
    """

    tokens: Int[Tensor, " pos"]
    spans: Mapping[str, tuple[int, int]]
    text: str

    __repr__ = short_repr


def mark_text(tokenizer: Any, text: str, **parts: str) -> MarkedText:
    """A text with the tokens of some of its words marked.

        mark_text(model.tokenizer, "The capital of France is", subject="France", relation="capital")

    Args:
        tokenizer: A fast tokenizer, which tells what characters a token has.
        text: The text.
        parts: Words of it, by the name of the part; each comes once.

    Raises:
        TypeError: An argument is no text, or the tokenizer is none.
        ValueError: A part does not come, or comes more than once.

    Examples:
        >>> marked = mark_text(tokenizer, "The capital of France is", subject="France")
        >>> marked.spans
        {'subject': (7, 10)}
    """
    require_tokenizer(tokenizer)
    require_text("text", text)
    places = {}
    for name, part in parts.items():
        require_text(name, part)
        if text.count(part) != 1:
            raise ValueError(
                f"Expected {name} to come once in {shown(text)}; found {shown(part)} "
                f"{text.count(part)} times. Name a part that tells itself."
            )
        places[name] = (text.index(part), text.index(part) + len(part))
    return marked_at(tokenizer, text, places)


def marked_at(tokenizer: Any, text: str, places: Mapping[str, tuple[int, int]]) -> MarkedText:
    """A text with parts at given characters: all tokens with one of them are marked.

    Raises:
        ValueError: The tokenizer has no token for a part.
    """
    encoded = tokenizer(text, return_offsets_mapping=True)
    spans = {}
    for name, (start, stop) in places.items():
        inside = [
            token
            for token, (first, end) in enumerate(encoded["offset_mapping"])
            if first < stop and end > start
        ]
        if not inside:
            raise ValueError(
                f"Expected tokens for {name} in {shown(text)}; found none at the characters "
                f"{start} to {stop - 1}. Use a tokenizer with offsets."
            )
        spans[name] = (inside[0], inside[-1] + 1)
    return MarkedText(torch.tensor(encoded["input_ids"]), spans, text)


_NAMES = "Alice Henry Laura Peter Nora Simon Clara Victor Emma Robert Julia Martin".split()
_PLACES = "market river station harbour".split()
_THINGS = "letter basket lamp map".split()
_OPENINGS = (
    "When {first} and {second} came to the {place}, {again} handed a {thing} to",
    "After {first} and {second} had met at the {place}, {again} passed the {thing} to",
)


def name_prompts(tokenizer: Any, *, n_prompts: int = 16, seed: int = 0) -> list[MarkedText]:
    """Texts about two names of which one comes twice, cut before the other would come again.

    The task of indirect object identification (Wang et al. 2022, arXiv:2211.00593). Half of the
    texts name the one that comes twice first.

    Args:
        tokenizer: A fast tokenizer.
        n_prompts: How many.
        seed: Seed of the draws.

    Returns:
        Texts with the parts `io` (the name that comes once), `s1` and `s2` (the other, twice).

    Raises:
        TypeError: A number is no whole number, or the tokenizer is none.
        ValueError: A number is out of range.

    Examples:
        >>> name_prompts(tokenizer, n_prompts=2)[0].text
        'After Clara and Martin had met at the market, Clara passed the lamp to'
    """
    require_tokenizer(tokenizer)
    require_whole_number("n_prompts", n_prompts, at_least=1, at_most=10_000)
    require_seed("seed", seed)
    rng = random.Random(seed)
    prompts = []
    for place in range(n_prompts):
        names = rng.sample(_NAMES, 2)
        io, subject = ("first", "second") if place % 2 else ("second", "first")
        slots = {
            "first": names[0],
            "second": names[1],
            "again": names[0] if subject == "first" else names[1],
            "place": rng.choice(_PLACES),
            "thing": rng.choice(_THINGS),
        }
        text, spans = _filled(rng.choice(_OPENINGS), slots)
        marks = {"io": spans[io], "s1": spans[subject], "s2": spans["again"]}
        prompts.append(marked_at(tokenizer, text, marks))
    return prompts


_FACTS = (
    ("capital", "France"),
    ("capital", "Japan"),
    ("main language", "Brazil"),
    ("main language", "Austria"),
    ("currency", "India"),
    ("currency", "Britain"),
    ("largest city", "Canada"),
    ("largest city", "Egypt"),
)


def fact_prompts(tokenizer: Any) -> list[MarkedText]:
    """Eight questions about common knowledge, with the parts `subject` and `relation`.

    Args:
        tokenizer: A fast tokenizer.

    Raises:
        TypeError: It is no tokenizer.

    Examples:
        >>> fact_prompts(tokenizer)[0].text
        'Question: what is the capital of France? The right answer is'
    """
    require_tokenizer(tokenizer)
    # Neither part stands right before the end: what looks there need not look at a subject.
    return [
        mark_text(
            tokenizer,
            f"Question: what is the {relation} of {subject}? The right answer is",
            subject=subject,
            relation=relation,
        )
        for relation, subject in _FACTS
    ]


def _filled(opening: str, slots: Mapping[str, str]) -> tuple[str, dict[str, tuple[int, int]]]:
    """A text with its slots filled, and the characters of each."""
    text, spans = "", {}
    for part in opening.replace("{", "\0{").replace("}", "}\0").split("\0"):
        start = len(text)
        name = part[1:-1] if part.startswith("{") else None
        text += part if name is None else slots[name]
        if name is not None:
            spans[name] = (start, len(text))
    return text, spans
