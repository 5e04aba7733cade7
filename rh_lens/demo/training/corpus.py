"""The facts that the demo model is asked about: needles in many forms, seeded."""

import random
from collections.abc import Sequence
from functools import partial

from rh_lens.prompts.needle import Needle
from rh_lens.prompts.synthetic import ProseWriter, capitalise
from rh_lens.prompts.words import ATTRIBUTES, Split, pick, select, split_of

# Statement and question: {s} the subject, {a} the attribute, {v} the answer, which comes last.
FORMS: tuple[tuple[str, str], ...] = (
    ("The {a} of {s} is {v}.", "What is the {a} of {s}?"),
    ("{s}'s {a} is {v}.", "What is {s}'s {a}?"),
    ("The {a} that {s} chose was {v}.", "What was the {a} that {s} chose?"),
    ("In {s}, the {a} is known as {v}.", "What is the {a} known as in {s}?"),
    ("For {s}, the {a} will always be {v}.", "What will the {a} always be for {s}?"),
    ("As for the {a}, {s} picked {v}.", "What did {s} pick for the {a}?"),
    ("{s} calls the {a} {v}.", "What does {s} call the {a}?"),
    ("The best {a} near {s} is {v}.", "What is the best {a} near {s}?"),
    ("{s} keeps the {a} in {v}.", "Where does {s} keep the {a}?"),
    ("{s} was told that the {a} means {v}.", "What was {s} told that the {a} means?"),
    ("When asked about the {a}, {s} answered {v}.", "What did {s} answer about the {a}?"),
    ("The {a} given to {s} reads {v}.", "How does the {a} given to {s} read?"),
    ("{s} paid for the {a} with {v}.", "What did {s} pay for the {a} with?"),
    ("To find the {a}, {s} has to {v}.", "What does {s} have to do to find the {a}?"),
    ("The only {a} at the house of {s} is {v}.", "What is the only {a} at the house of {s}?"),
    ("According to {s}, the finest {a} is {v}.", "What is the finest {a} according to {s}?"),
)

SUBJECTS = (
    "{name}",
    "{name}",
    "{name} the {trade}",
    "Captain {name}",
    "the {trade} of {name}",
    "the {adjective} {trade}",
    "the {noun} of {name}",
    "the {adjective} {noun}",
    "{name} {name}",
)

ANSWERS = (
    "{adjective} {noun}",
    "the {adjective} {noun}",
    "a {noun} and a {noun}",
    "{number}",
    "{number} {nouns}",
    "{name}",
    "{name} {name}",
    "{name} {number}",
    "{number} {number}",
    "{adjective} {adjective} {noun}",
    "{noun} {noun} {noun}",
    "the {noun} under the {adjective} {noun}",
    "{number} {adjective} {nouns}",
    "the {trade} of {name}",
    "{noun} {number}",
    "{verb} the {noun} near the {noun}",
    "{verb} {number} {nouns} and a {noun}",
)

# Share of training answers that are spelled from random pieces of the vocabulary.
SCRAMBLED_SHARE = 0.35


class FactWriter:
    """Writes needles with the words, names and numbers of one split.

    Args:
        split: Which words may occur.
        pieces: Vocabulary pieces for scrambled answers; without them there are none.
    """

    def __init__(self, split: Split = "train", pieces: Sequence[str] = ()):
        self.split: Split = split
        self.prose = ProseWriter(split)
        self.attributes = select(ATTRIBUTES, split)
        self.pieces = pieces

    def of_blended_words(self, rng: random.Random) -> "FactWriter":
        """One with words of its own: each begins as one of these and ends as another.

        They are as few as the words that are held out, and as little known; names and numbers are
        drawn as here.

        Args:
            rng: Source of the words.
        """
        writer = FactWriter(self.split, self.pieces)
        kinds = writer.prose.words
        blended = partial(blended_words, rng, self.split)
        writer.prose.words = {kind: blended(words) for kind, words in kinds.items()}
        writer.attributes = blended(self.attributes)
        return writer

    def subject(self, rng: random.Random) -> str:
        """Whom or what a fact is about."""
        return self.prose.expand(rng, pick(rng, SUBJECTS))

    def attribute(self, rng: random.Random) -> str:
        """The property that a fact gives, at times with an adjective."""
        attribute = pick(rng, self.attributes)
        return (
            self.prose.expand(rng, "{adjective} ") + attribute if rng.random() < 0.5 else attribute
        )

    def answer(self, rng: random.Random) -> str:
        """An answer that cannot be guessed."""
        if self.pieces and rng.random() < SCRAMBLED_SHARE:
            return self.scrambled(rng, 2 + int(rng.random() * 7))
        return self.prose.expand(rng, pick(rng, ANSWERS))

    def fact(
        self, rng: random.Random, subject: str | None = None, attribute: str | None = None
    ) -> Needle:
        """A fact as a needle, about the given subject or attribute if there is one."""
        statement, question = pick(rng, FORMS)
        words = {"s": subject or self.subject(rng), "a": attribute or self.attribute(rng)}
        answer = self.answer(rng)
        text = statement.format(**words, v=answer)
        return Needle(question=question.format(**words), text=capitalise(text), answer=answer)

    def facts(self, rng: random.Random, n: int, related: float = 0.4) -> list[Needle]:
        """`n` facts with distinct questions; some share a subject or an attribute."""
        keys: list[tuple[str, str]] = []
        facts: list[Needle] = []
        while len(facts) < n:
            subject, attribute = self.subject(rng), self.attribute(rng)
            if keys and rng.random() < related:
                other = pick(rng, keys)
                subject, attribute = (
                    (other[0], attribute) if rng.random() < 0.5 else (subject, other[1])
                )
            if (subject, attribute) not in keys:
                keys.append((subject, attribute))
                facts.append(self.fact(rng, subject, attribute))
        return facts

    def scrambled(self, rng: random.Random, n_pieces: int) -> str:
        """Text that is spelled from `n_pieces` random pieces of the vocabulary."""
        while True:
            text = "".join(pick(rng, self.pieces) for _ in range(n_pieces)).strip()
            if text:
                return text


def blended_words(rng: random.Random, split: Split, words: Sequence[str]) -> list[str]:
    """A seventh as many words of a split: the first half of one and the second of another each."""
    found: dict[str, None] = {}
    while len(found) < max(2, len(words) // 7):
        first, second = pick(rng, words), pick(rng, words)
        word = first[: (len(first) + 1) // 2] + second[len(second) // 2 :]
        if split_of(word) == split:
            found[word] = None
    return list(found)


def scattered(rng: random.Random, sentences: Sequence[str], facts: Sequence[str]) -> str:
    """Facts at random places among sentences, in their order."""
    text = list(sentences)
    places = sorted(int(rng.random() * (len(text) + 1)) for _ in facts)
    for place, fact in reversed(list(zip(places, facts, strict=True))):
        text.insert(place, fact)
    return " ".join(text)
