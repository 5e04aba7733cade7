"""Seeded English-like prose: a small grammar whose sentences seldom repeat."""

import random
import re

from rh_lens.prompts.words import (
    ADJECTIVES,
    NOUNS,
    TRADES,
    VERBS,
    Split,
    invented_name,
    number,
    pick,
    select,
)

_SLOT = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeiou])")

GRAMMAR: dict[str, list[str]] = {
    "sentence": [
        "{who} {did} {thing} {where}.",
        "{when}, {who} {did} {thing}.",
        "{who} {did} {thing} because {clause}.",
        "{when}, {clause}, and {clause}.",
        "{clause}, but {clause}.",
        "Nobody knew why {clause}.",
        "It was {adjective} and {adjective} {where}, so {who} {did} {thing}.",
        "There were {number} {nouns} {where}, and most of them were {adjective}.",
        "{who} said that {clause}.",
        "After {number} years {who} still {did} {thing} {where}.",
        "{who} and {who} {did} {thing} together.",
        "The {noun} cost {number} coins, which {who} thought too much.",
        "What {who} wanted was {thing}, not {thing}.",
        "Every {noun} {where} was {adjective}.",
        "If {clause}, then {clause}.",
        "{who} was too {adjective} to {verb} {thing}.",
        "Of all the {nouns}, only the {adjective} one was left {where}.",
        "Some people {verb} {thing}; others {verb} {thing}.",
        "{where}, a {adjective} {noun} stood beside {thing}.",
        "How {adjective} {thing} looked {when}!",
        "Could {who} {verb} {thing} {where}?",
        "{who}, who had never seen {thing}, asked {who} to {verb} {thing}.",
        "By then {thing} had become {adjective}, and {clause}.",
        "The road to {name} passes {number} {nouns} and {thing}.",
        "{who} wrote a long note about {thing} and sent it to {name}.",
    ],
    "clause": [
        "{who} {did} {thing}",
        "{thing} was {adjective}",
        "{who} would not {verb} {thing}",
        "{who} had to {verb} {thing} {where}",
        "nobody could {verb} {thing}",
        "{thing} belonged to {who}",
        "it rained for {number} days",
        "{who} felt {adjective}",
    ],
    "who": [
        "the {trade}",
        "a {adjective} {trade}",
        "{name}",
        "{name} the {trade}",
        "the {trade} of {name}",
        "the {trade}'s {noun}",
        "an old friend of {name}",
    ],
    "thing": [
        "the {noun}",
        "a {adjective} {noun}",
        "the {adjective} {noun}",
        "{number} {nouns}",
        "the {noun} and the {noun}",
        "the {noun} of {name}",
        "a {noun} full of {nouns}",
    ],
    "did": [
        "wanted to {verb}",
        "tried to {verb}",
        "used to {verb}",
        "came to {verb}",
        "chose to {verb}",
    ],
    "where": [
        "near the {noun}",
        "behind the {adjective} {noun}",
        "in {name}",
        "on the road to {name}",
        "under the {noun}",
        "at the {noun} of {name}",
        "between the {noun} and the {noun}",
    ],
    "when": [
        "in the morning",
        "one {adjective} evening",
        "later that year",
        "on day {number}",
        "before the {noun} opened",
        "while the {trade} slept",
        "in those {adjective} times",
    ],
}


def capitalise(text: str) -> str:
    """`text` with its first letter in upper case, the rest untouched."""
    return text[0].upper() + text[1:]


def plural(noun: str) -> str:
    """The regular English plural of a noun."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


class ProseWriter:
    """Writes sentences from `GRAMMAR` with the words of one split.

    The words' lists are filtered once; every draw comes from the generator that is passed in.
    """

    def __init__(self, split: Split = "train"):
        self.split: Split = split
        self.words = {
            "adjective": select(ADJECTIVES, split),
            "noun": select(NOUNS, split),
            "trade": select(TRADES, split),
            "verb": select(VERBS, split),
        }

    def sentence(self, rng: random.Random) -> str:
        """One sentence with its capital letter and closing mark."""
        return capitalise(self.expand(rng, pick(rng, GRAMMAR["sentence"])))

    def expand(self, rng: random.Random, text: str) -> str:
        """`text` with every `{slot}` replaced by a word, a name, a number or a phrase."""
        filled = _SLOT.sub(lambda match: self._fill(rng, match[1]), text)
        return _ARTICLE.sub(r"\1n ", filled)

    def _fill(self, rng: random.Random, slot: str) -> str:
        if slot == "name":
            return invented_name(rng, self.split)
        if slot == "number":
            return number(rng, self.split)
        if slot == "nouns":
            return plural(pick(rng, self.words["noun"]))
        if slot in self.words:
            return pick(rng, self.words[slot])
        return self.expand(rng, pick(rng, GRAMMAR[slot]))


def write_prose(seed: int, n_sentences: int) -> list[str]:
    """Paragraphs of synthetic prose, the same on every machine for the same seed.

    Args:
        seed: Seed of the text.
        n_sentences: Sentences in all; a paragraph has three to seven.

    Returns:
        The paragraphs, without line breaks inside.

    Raises:
        ValueError: `n_sentences` is not positive.
    """
    if n_sentences < 1:
        raise ValueError(f"n_sentences must be at least 1, got {n_sentences}.")
    rng, writer = random.Random(seed), ProseWriter()
    paragraphs: list[str] = []
    left = n_sentences
    while left > 0:
        size = min(left, 3 + int(rng.random() * 5))
        paragraphs.append(" ".join(writer.sentence(rng) for _ in range(size)))
        left -= size
    return paragraphs
