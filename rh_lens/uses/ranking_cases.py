"""Queries with passages, some of them relevant."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real

from rh_lens.checks import (
    require_list,
    require_seed,
    require_text,
    require_type,
    require_whole_number,
    shown,
)
from rh_lens.prompts import Haystack, Needle


@dataclass(frozen=True)
class RankingCase:
    """A query with passages to put in order.

    Args:
        query: What is asked.
        passages: Their texts.
        gains: Relevance of each passage, 0 or more.
        name: Names the query.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A text is blank, or the gains don't fit the passages.
    """

    query: str
    passages: tuple[str, ...]
    gains: tuple[float, ...]
    name: str

    def __post_init__(self) -> None:
        require_text("query", self.query)
        require_text("name", self.name)
        require_list("passages", self.passages, str, at_least=1)
        require_list("gains", self.gains, Real)
        if len(self.gains) != len(self.passages) or not min(self.gains) >= 0:
            raise ValueError(
                f"Expected gains of 0 or more, one for each of {len(self.passages)} passages; "
                f"found {shown(list(self.gains))}. Give irrelevant ones 0."
            )


def needle_cases(
    needles: Iterable[Needle],
    haystack: Haystack,
    *,
    n_passages: int = 10,
    n_sentences: int = 2,
    seed: int = 0,
) -> tuple[RankingCase, ...]:
    """A case for each needle: one passage holds it, others hold what looks like it, among prose.

    Half of the other passages have a sentence each that is none of the prose: the needle's own
    distractors (the same words, another fact), then other needles. The places are drawn.

    Args:
        needles: Two or more, with different questions.
        haystack: Where the prose around them is from.
        n_passages: Passages of each case.
        n_sentences: Sentences of prose in each passage, beside the needle.
        seed: Seed of the draws.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are too few needles or too little prose, or a number is out of range.

    Examples:
        >>> cases = needle_cases(evaluation_needles(), synthetic_haystack(n_sentences=200))
        >>> sum(cases[0].gains), len(cases[0].passages)
        (1.0, 10)
    """
    needles = require_list("needles", needles, Needle, at_least=2)
    require_type("haystack", haystack, Haystack)
    require_whole_number("n_passages", n_passages, at_least=2)
    require_whole_number("n_sentences", n_sentences, at_least=1)
    require_seed("seed", seed)
    prose = [s.strip() + "." for text in haystack.documents for s in text.split(".") if s.strip()]
    if len(prose) < n_passages * n_sentences:
        raise ValueError(
            f"Expected haystack to hold {n_passages * n_sentences} sentences or more; found "
            f"{len(prose)}. Take a longer one."
        )
    rng, cases = random.Random(seed), []
    for needle in needles:
        others = rng.sample([n for n in needles if n is not needle], len(needles) - 1)
        alike = [*needle.distractors, *others][: n_passages // 2]
        texts = [prose[i] for i in rng.sample(range(len(prose)), n_passages * n_sentences)]
        parts = [texts[i::n_passages] for i in range(n_passages)]
        for part, one in zip(parts, [needle, *alike], strict=False):
            part.insert(rng.randint(0, n_sentences), one.text)
        order = rng.sample(range(n_passages), n_passages)
        cases.append(
            RankingCase(
                needle.question,
                tuple(" ".join(parts[i]) for i in order),
                tuple(float(i == 0) for i in order),
                needle.question,
            )
        )
    return tuple(cases)
