"""Documents that say something else than a model knows by heart, or do not say it at all."""

import random
from collections.abc import Iterable, Sequence

from rh_lens.checks import require_list, require_seed
from rh_lens.prompts import Distractor, Haystack, Needle
from rh_lens.uses.citation_cases import CitationCase, hidden_case, stretches

MEMORY_KINDS = ("contradicted", "left out")
"""What the document says: something else than what is known; nothing of it, but a like thing."""


def memory_cases(
    haystack: Haystack,
    facts: Iterable[Needle],
    *,
    n_characters: int = 450,
    seed: int = 0,
) -> list[CitationCase]:
    """Two documents a fact, of the kinds `MEMORY_KINDS`, whose sentences stand in random places.

    In the case's needle the places are changed: its text and answer are those of the document, its
    distractor is what the model knows. So `contrast_quality` counts as right what the document
    says, and as another answer what memory says. Only facts that a model knows show which of both
    wins: `closed_book_check(model, facts)` says which ones it does.

    Args:
        haystack: Prose around the sentences.
        facts: What a model may know: question, true sentence and answer; the first distractor is
            the sentence that contradicts it. Other right answers are not looked for.
        n_characters: Least characters of prose in a document.
        seed: Seed of the places.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no fact, one has no distractor, the haystack is shorter, or a number is
            out of range.

    Examples:
        >>> said = Distractor("The capital of Peru is Bergen.", "Bergen")
        >>> known = ("What is the capital of Peru?", "The capital of Peru is Lima.", "Lima")
        >>> cases = memory_cases(haystack, [Needle(*known, distractors=(said,))])
        >>> cases[0].needle.answer, cases[0].needle.distractors[0].answer
        ('Bergen', 'Lima')
    """
    chosen = require_list("facts", facts, Needle, at_least=1)
    require_seed("seed", seed)
    for fact in chosen:
        if not fact.distractors:
            raise ValueError(
                "Expected facts with a distractor each, the sentence that contradicts them; found "
                f"none for {fact.question!r}. Add one: Needle(..., distractors=[Distractor(...)])."
            )
    generator = random.Random(seed)
    prose_around = stretches(haystack, n_characters, generator)
    cases = []
    for fact in chosen:
        prose, said = next(prose_around), fact.distractors[0]
        known = Distractor(fact.text, fact.answer)
        needle = Needle(fact.question, said.text, said.answer, distractors=(known,))
        like = _like(fact, chosen, generator)
        for kind, hidden in zip(MEMORY_KINDS, ([said.text], like), strict=True):
            cases.append(hidden_case(kind, needle, hidden, prose, generator))
    return cases


def _like(fact: Needle, facts: Sequence[Needle], generator: random.Random) -> list[str]:
    """What contradicts another fact, with neither answer of this one; nothing if there is none."""
    own = {fact.answer.casefold(), fact.distractors[0].answer.casefold()}
    others = [
        one.distractors[0].text
        for one in facts
        if one.question != fact.question and one.distractors[0].answer.casefold() not in own
    ]
    return [generator.choice(others)] if others else []
