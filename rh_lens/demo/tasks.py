"""Items of every kind of task from the bundled model's own grammar, so that all runs offline.

The first bundled model reads: it finds one of several facts of a document, and was trained on
nothing else. The other kinds run on it too, and it fails at them; the second, `scholar`, answers
them.
"""

import random
from dataclasses import replace
from typing import Any

from rh_lens.checks import require_choice, require_seed, require_whole_number
from rh_lens.demo.training.corpus import FactWriter, scattered
from rh_lens.demo.training.exercises import ExerciseWriter
from rh_lens.demo.training.sums import sum_steps
from rh_lens.evaluation.tasks import READING, TASKS, Task, TaskItem, load_task
from rh_lens.prompts.words import invented_name

_MOST = 100_000


def example_task(name: str, n: int = 24, *, chain: bool | None = None, seed: int = 0) -> Task:
    """A small task of any name that `load_task` knows, from the bundled model's own grammar.

    The same items come in the form of the task's published file, and through its loader.

    Args:
        name: One of `TASKS`.
        n: Items; of those that read, two are about each document.
        chain: As in `load_task`.
        seed: Seed of the draws.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no such task, or a number is out of range.

    Examples:
        >>> task = example_task("qa", 4)
        >>> task.name, len(task.items)
        ('squad', 4)
    """
    require_choice("name", name, TASKS)
    require_whole_number("n", n, at_least=1, at_most=_MOST)
    return load_task(name, _rows(name, n, seed), chain=chain, limit=n)


def _rows(name: str, n: int, seed: int) -> list[dict[str, Any]]:
    """Items as records of the task's published file."""
    if name == "gsm8k":
        items = sum_items(n, seed=seed)
        return [
            {"question": one.question, "answer": f"{one.chain}\n#### {one.answers[0]}"}
            for one in items
        ]
    if name == "mmlu":
        items = choice_items(n, seed=seed)
        return [
            {"question": one.question, "choices": list(one.choices), "answer": one.answers[0]}
            for one in items
        ]
    hops = name in ("musique", "hotpotqa")
    items = chain_items(n, seed=seed) if hops else reading_items(-(-n // 2), n_facts=2, seed=seed)
    return [_record(name, item) for item in items]


def _record(name: str, item: TaskItem) -> dict[str, Any]:
    """An item about a document as a record of the task's published file."""
    common = {"id": item.id, "question": item.question, "answers": list(item.answers)}
    one = item.answers[0]
    records: dict[str, dict[str, Any]] = {
        "qa": common | {"context": item.context},
        "own": common | {"context": item.context, "chain": item.chain},
        "musique": common | {"paragraphs": [{"paragraph_text": item.context}], "answer": one},
        "hotpotqa": common | {"context": [["", [item.context]]], "answer": one},
        "longbench": common | {"input": item.question, "context": item.context},
        "ruler": {"index": item.id, "input": READING.filled(item), "outputs": list(item.answers)},
    }
    return records[name]


def reading_items(
    n_documents: int = 12, *, n_facts: int = 4, n_sentences: int = 8, seed: int = 0
) -> tuple[TaskItem, ...]:
    """Extractive questions: each document has several facts among other prose, all asked about.

    Words, names and numbers are those that the bundled model's training left out. It answers with
    a mean F1 of 0.96 (48 items of seed 5).

    Args:
        n_documents: Documents, the unit of statistics.
        n_facts: Facts, and questions, of each.
        n_sentences: Other sentences of each.
        seed: Seed of the draws.

    Raises:
        TypeError: An argument is no whole number.
        ValueError: One is out of range.

    Examples:
        >>> item = reading_items(1)[0]
        >>> item.answers[0] in item.context
        True
    """
    rng, writer = _drawn("n_documents", n_documents, seed)
    require_whole_number("n_facts", n_facts, at_least=1, at_most=50)
    require_whole_number("n_sentences", n_sentences, at_least=0, at_most=_MOST)
    items = []
    for place in range(n_documents):
        name = f"document-{place}"
        facts = writer.facts(rng, n_facts)
        sentences = [writer.prose.sentence(rng) for _ in range(n_sentences)]
        text = scattered(rng, sentences, [fact.text for fact in facts])
        items += [
            TaskItem(f"{name}-{at}", fact.question, (fact.answer,), text, name)
            for at, fact in enumerate(facts)
        ]
    return tuple(items)


def chain_items(
    n_documents: int = 12, *, n_sentences: int = 8, seed: int = 0
) -> tuple[TaskItem, ...]:
    """Two hops over facts of a document, with the written way: who, and where that one lives.

    The first bundled model was not trained to take two steps, and fails; `scholar` was.

    Args:
        n_documents: Documents, with one question each.
        n_sentences: Other sentences of each.
        seed: Seed of the draws.

    Raises:
        TypeError: An argument is no whole number.
        ValueError: One is out of range.

    Examples:
        >>> chain_items(1)[0].question
        "Where does Vithae's teacher live?"
    """
    rng, writer = _drawn("n_documents", n_documents, seed)
    require_whole_number("n_sentences", n_sentences, at_least=0, at_most=_MOST)
    items = []
    for place in range(n_documents):
        pupil, teacher, other, town, village = _names(rng, 5)
        facts = [
            f"{pupil}'s teacher is {teacher}.",
            f"{teacher} lives in {town}.",
            f"{other} lives in {village}.",
        ]
        sentences = [writer.prose.sentence(rng) for _ in range(n_sentences)]
        items.append(
            TaskItem(
                f"chain-{place}",
                f"Where does {pupil}'s teacher live?",
                (town,),
                scattered(rng, sentences, facts),
                f"chain-{place}",
                chain=f"{facts[0]} {facts[1]}",
            )
        )
    return tuple(items)


def sum_items(n: int = 12, *, seed: int = 0) -> tuple[TaskItem, ...]:
    """Word problems of one addition or subtraction, with the written way, as in GSM8K.

    The first bundled model can't reckon, and fails; `scholar` can.

    Args:
        n: Items.
        seed: Seed of the draws.

    Raises:
        TypeError: An argument is no whole number.
        ValueError: One is out of range.

    Examples:
        >>> item = sum_items(1)[0]
        >>> item.answers, item.chain
        (('59',), 'Vithae has 43 quilts. 43 + 10 = 53. 3 + 6 = 9. 53 + 6 = 59.')
    """
    rng, writer = _drawn("n", n, seed)
    items = []
    for place in range(n):
        (name,) = _names(rng, 1)
        noun = writer.prose.expand(rng, "{nouns}")
        first, second = 20 + int(rng.random() * 60), 2 + int(rng.random() * 18)
        gives = rng.random() < 0.5
        verb, sign = ("gives away", "-") if gives else ("finds", "+")
        way, total = sum_steps(first, sign, second)
        items.append(
            TaskItem(
                f"sum-{place}",
                f"{name} has {first} {noun} and {verb} {second} of them. How many {noun} does "
                f"{name} have now?",
                (str(total),),
                chain=f"{name} has {first} {noun}. {way}",
            )
        )
    return tuple(items)


def choice_items(n: int = 12, *, seed: int = 0) -> tuple[TaskItem, ...]:
    """Lettered questions about an invented world, without any document, as in MMLU.

    The world is always the same (`rh_lens.demo.training.world`): a model may have learnt it by
    heart. The first bundled model has not, and answers one in four by chance.

    Args:
        n: Items.
        seed: Seed of the draws.

    Raises:
        TypeError: An argument is no whole number.
        ValueError: One is out of range.

    Examples:
        >>> item = choice_items(1)[0]
        >>> len(item.choices), item.answers
        (4, ('C',))
    """
    require_whole_number("n", n, at_least=1, at_most=_MOST)
    require_seed("seed", seed)
    rng, writer = random.Random(seed), ExerciseWriter("held-out")
    drawn = [writer.known_chosen(rng, chain=False).item for _ in range(n)]
    return tuple(replace(item, id=f"choice-{place}") for place, item in enumerate(drawn))


def _drawn(name: str, n: int, seed: int) -> tuple[random.Random, FactWriter]:
    """Source of the draws, and who writes facts of words that training left out."""
    require_whole_number(name, n, at_least=1, at_most=_MOST)
    require_seed("seed", seed)
    return random.Random(seed), FactWriter("held-out")


def _names(rng: random.Random, n: int) -> list[str]:
    """Different names of words that training left out."""
    names: list[str] = []
    while len(names) < n:
        if (name := invented_name(rng, "held-out")) not in names:
            names.append(name)
    return names
