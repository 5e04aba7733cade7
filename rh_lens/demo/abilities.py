"""What a bundled model can do: one task an ability, on words that training left out."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rh_lens.demo.training.corpus import scattered
from rh_lens.demo.training.exercises import UNSTATED, Exercise, ExerciseWriter
from rh_lens.evaluation.tasks import (
    Extraction,
    Task,
    TaskItem,
    TaskScore,
    choice_letter,
    evaluate_task,
    exact_match,
    final_answer,
    first_line,
    last_number,
    same_letter,
    same_number,
    token_f1,
)
from rh_lens.runtime import Bridge

N_ITEMS = 200
# A seed used for nothing else.
SEED = 60_001
N_SENTENCES = 6
_MAX_ANSWER, _MAX_CHAIN = 40, 80


@dataclass(frozen=True)
class Ability:
    """Something a model may have learnt, and how it is tried.

    Args:
        make: Writes an exercise, with a writer of held-out words and a source of draws.
        score: Its score, between 0 and 1, and the score's name.
        extract: What of a generated text is the answer.
        goal: What the second model is to reach; None: it is reported, whatever it is.
    """

    make: Callable[[ExerciseWriter, random.Random], Exercise]
    score: tuple[str, TaskScore] = ("exact match", exact_match)
    extract: Extraction = first_line
    goal: float | None = None


CONTRADICTED = "known, but the text says otherwise"
_LETTER: dict[str, Any] = {"score": ("right letter", same_letter), "extract": choice_letter}
_NUMBER: dict[str, Any] = {"score": ("right number", same_number), "extract": last_number}

ABILITIES: dict[str, Ability] = {
    "reading": Ability(ExerciseWriter.inside, ("F1", token_f1), goal=0.9),
    "facts": Ability(ExerciseWriter.fact),
    "other words": Ability(ExerciseWriter.synonym),
    "second language": Ability(ExerciseWriter.foreign),
    "two facts at once": Ability(ExerciseWriter.two),
    "not stated": Ability(ExerciseWriter.unstated, goal=0.9),
    "two hops, written": Ability(
        partial(ExerciseWriter.hops, chain=True), extract=final_answer, goal=0.9
    ),
    "two hops, answer only": Ability(partial(ExerciseWriter.hops, chain=False)),
    "choices about a text": Ability(partial(ExerciseWriter.chosen, chain=False), **_LETTER),
    "known by heart": Ability(ExerciseWriter.known, goal=0.95),
    "known, choices": Ability(
        partial(ExerciseWriter.known_chosen, chain=False), goal=0.9, **_LETTER
    ),
    "known, choices, written": Ability(partial(ExerciseWriter.known_chosen, chain=True), **_LETTER),
    CONTRADICTED: Ability(ExerciseWriter.contradicted),
    "sums, written": Ability(partial(ExerciseWriter.total, chain=True), goal=0.8, **_NUMBER),
    "sums, answer only": Ability(partial(ExerciseWriter.total, chain=False), **_NUMBER),
}
"""Abilities by name, in the order of the card."""


def ability_task(name: str, n: int = N_ITEMS, *, seed: int = SEED) -> Task:
    """An ability as a task: held-out items in short texts, or without one.

    Args:
        name: One of `ABILITIES`.
        n: Items.
        seed: Seed of the draws.
    """
    ability, rng = ABILITIES[name], random.Random(seed)
    writer = ExerciseWriter("held-out")
    exercises = [ability.make(writer, rng) for _ in range(n)]
    items = tuple(_item(rng, writer, one, place) for place, one in enumerate(exercises))
    return Task(
        name,
        items,
        exercises[0].template,
        ability.extract,
        dict([ability.score]),
        max_new_tokens=_MAX_CHAIN if "{chain}" in exercises[0].template.answer else _MAX_ANSWER,
    )


def evaluate_tasks(model: Bridge, n: int = N_ITEMS) -> dict[str, dict[str, Any]]:
    """Every ability's mean score: `n`, `score`, `goal`, `measure`, and `more` by name.

    `more` has the share of refusals to answer what the text says ("facts"), and how often memory
    wins against the text.

    Args:
        model: A TransformerBridge.
        n: Items of each task.
    """
    found = {}
    for name, ability in ABILITIES.items():
        task = ability_task(name, n)
        table = evaluate_task(model, task, progress=False).to_dataframe()
        measure, _ = ability.score
        found[name] = {
            "n": len(table),
            "score": float(table[measure].mean()),
            "goal": ability.goal,
            "measure": measure,
            "more": more_of(name, task, table["answer"].tolist()),
        }
    return found


def more_of(name: str, task: Task, answers: Sequence[str]) -> dict[str, float]:
    """What else is to be said about the answers to a task."""
    if name == "facts":
        return {"false refusals": _share(answer.startswith(UNSTATED) for answer in answers)}
    if name == CONTRADICTED:
        pairs = zip(answers, task.items, strict=True)
        return {"memory wins": _share(answer.rstrip(".") == item.chain for answer, item in pairs)}
    return {}


def _item(rng: random.Random, writer: ExerciseWriter, exercise: Exercise, place: int) -> TaskItem:
    """An exercise as an item, with a short text around what it needs."""
    text = ""
    if exercise.statements:
        sentences = [writer.facts.prose.sentence(rng) for _ in range(N_SENTENCES)]
        order = sorted(exercise.statements, key=lambda _: rng.random())
        text = scattered(rng, sentences, order)
    return replace(exercise.item, id=f"{exercise.item.id}-{place}", context=text)


def _share(found: Any) -> float:
    hits = list(found)
    return sum(hits) / len(hits)
