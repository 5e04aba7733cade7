"""Other words for the same thing: synonyms, and a second language of the generator's own."""

import random
from dataclasses import dataclass

from rh_lens.prompts.words import ATTRIBUTES, invented_name

SYNONYMS: dict[str, str] = {
    "colour": "hue",
    "drink": "beverage",
    "meal": "supper",
    "tool": "implement",
    "gift": "present",
    "title": "heading",
    "song": "tune",
    "poem": "verse",
    "game": "pastime",
    "sport": "contest",
    "lesson": "teaching",
    "reward": "bonus",
    "promise": "vow",
    "habit": "custom",
    "fear": "dread",
    "dream": "vision",
    "plan": "scheme",
    "rule": "precept",
    "stone": "rock",
    "symbol": "token",
    "secret": "mystery",
    "wish": "desire",
    "nickname": "byname",
    "motto": "saying",
}
"""Attributes, and what a question or a statement may call them instead."""

_SEED = 50_001
STATEMENT = "Ta {a} sol {s} mev {v}."
QUESTION = "Kir mev ta {a} sol {s}?"
"""The second language says `The {a} of {s} is {v}.` and `What is the {a} of {s}?` so."""


@dataclass(frozen=True)
class SecondLanguage:
    """A dictionary of attributes; names and answers are the same in both languages.

    Args:
        words: The second language's word for each attribute of the first.
    """

    words: dict[str, str]

    def statement(self, subject: str, attribute: str, answer: str) -> str:
        """A fact, said in the second language."""
        return STATEMENT.format(a=self.words[attribute], s=subject, v=answer)

    def question(self, subject: str, attribute: str) -> str:
        """Its question."""
        return QUESTION.format(a=self.words[attribute], s=subject)


def second_language() -> SecondLanguage:
    """The dictionary: always the same one."""
    rng = random.Random(_SEED)
    words: dict[str, str] = {}
    for attribute in ATTRIBUTES:
        while (word := invented_name(rng, "train").lower()) in words.values():
            pass
        words[attribute] = word
    return SecondLanguage(words)
