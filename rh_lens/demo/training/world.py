"""An invented world that a model can know by heart: islands, each with a few attributes."""

import random
from dataclasses import dataclass

from rh_lens.prompts.words import invented_name, pick

N_ISLANDS = 40
_SEED = 40_001

ISLAND_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "capital": (),
    "founder": (),
    "metal": ("iron", "copper", "silver", "gold", "tin", "zinc", "lead", "steel"),
    "bird": ("falcon", "heron", "swan", "raven", "parrot", "owl", "crane", "eagle"),
    "crop": ("rice", "corn", "wheat", "barley", "olives", "melons", "plums", "pears"),
    "dish": ("soup", "bread", "stew", "cheese", "salmon", "porridge", "curry", "cake"),
}
"""Attributes of an island, and their values; none: a name of its own for every island."""

QUESTIONS = (
    "What is the {attribute} of {island}?",
    "What is {island}'s {attribute}?",
    "Which {attribute} does {island} have?",
)


@dataclass(frozen=True)
class WorldFact:
    """One fact of the world.

    Args:
        island: Whom it is about.
        attribute: Which of `ISLAND_ATTRIBUTES`.
        value: The answer.
    """

    island: str
    attribute: str
    value: str

    def question(self, form: int) -> str:
        """The fact asked for, in one of the forms of `QUESTIONS`."""
        return QUESTIONS[form].format(island=self.island, attribute=self.attribute)

    @property
    def statement(self) -> str:
        """The fact as a sentence."""
        return f"The {self.attribute} of {self.island} is {self.value}."


def world_facts() -> tuple[WorldFact, ...]:
    """All facts of the world, island by island: always the same ones."""
    rng = random.Random(_SEED)
    facts = []
    for island in _names(rng, N_ISLANDS):
        for name, values in ISLAND_ATTRIBUTES.items():
            value = pick(rng, values) if values else invented_name(rng, "train")
            facts.append(WorldFact(island, name, value))
    return tuple(facts)


def other_values(fact: WorldFact, facts: tuple[WorldFact, ...]) -> list[str]:
    """Values of the same attribute that other islands have and this one lacks, each once."""
    values = {one.value for one in facts if one.attribute == fact.attribute}
    return sorted(values - {fact.value})


def _names(rng: random.Random, n: int) -> list[str]:
    names: dict[str, None] = {}
    while len(names) < n:
        names[invented_name(rng, "train")] = None
    return list(names)
