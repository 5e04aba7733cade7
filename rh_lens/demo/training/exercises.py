"""What the second bundled model is asked: reading, knowing, choosing, reasoning, refusing."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rh_lens.demo.training.corpus import FactWriter
from rh_lens.demo.training.sums import small_number, sum_steps
from rh_lens.demo.training.wording import SYNONYMS, second_language
from rh_lens.demo.training.world import QUESTIONS, WorldFact, other_values, world_facts
from rh_lens.evaluation.tasks import (
    ANSWER_ONLY,
    CHAIN,
    CHOICES,
    CHOICES_CHAIN,
    LETTERS,
    READING,
    READING_CHAIN,
    TaskItem,
    TaskTemplate,
)
from rh_lens.prompts.synthetic import capitalise
from rh_lens.prompts.words import ATTRIBUTES, Split, pick, select, split_of

UNSTATED = "not stated"
"""What is answered where a text does not say it."""

CLOSED = TaskTemplate("closed", "Question: {question}\nAnswer:", answer=" {answer}")
"""A question without a text, asked as questions about texts are."""

READING_CHOICES = TaskTemplate("reading-choices", "{context}\n\n" + CHOICES.text)
"""A document, then a question with lettered choices."""

READING_CHOICES_CHAIN = TaskTemplate(
    "reading-choices-chain", "{context}\n\n" + CHOICES_CHAIN.text, answer=CHOICES_CHAIN.answer
)
"""The same, and a way to the answer written before it."""

# The answer stands inside its sentence: {s} the subject, {a} the attribute, {v} the answer.
INSIDE: tuple[tuple[str, str], ...] = (
    ("In those days {v} was the {a} of {s}, as everybody knew.", "What was the {a} of {s}?"),
    ("With {v} as {a}, {s} left for the coast.", "With what as {a} did {s} leave?"),
    ("{s} took {v} for the {a} before winter came.", "What did {s} take for the {a}?"),
    ("It was {v} that {s} wanted as {a}, and nothing else.", "What did {s} want as {a}?"),
    ("Only {v} would do as {a}, {s} said to the others.", "What would do as {a} for {s}?"),
    ("When {s} named {v} as the {a}, nobody laughed.", "What did {s} name as the {a}?"),
)
# What the second language is taught words for, and no synonym stands for.
TRANSLATED = [one for one in select(ATTRIBUTES, "train") if one not in SYNONYMS]
RELATIONS = ("teacher", "cousin", "neighbour", "doctor", "brother", "uncle", "partner", "guide")
# What the second hop says of a person: statement and question.
HOPS: tuple[tuple[str, str], ...] = (
    ("{p} lives in {v}.", "Where does {who} live?"),
    ("{p} works in {v}.", "Where does {who} work?"),
    ("{p} was born in {v}.", "Where was {who} born?"),
)


@dataclass(frozen=True)
class Exercise:
    """One question, how it is asked, and what has to be in the text for it.

    Args:
        item: Question, answer, and choices or a written way where there are some.
        template: How it is asked.
        statements: Sentences that the text holds, those that could be confused with the right ones
            among them; none: it is asked without a text.
    """

    item: TaskItem
    template: TaskTemplate
    statements: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The right answer as the model shall say it, from the space before it on."""
        text = self.template.said(self.item)
        return text if self.item.choices or text.endswith(".") else f"{text}."


class ExerciseWriter:
    """Writes exercises with the words, names and numbers of one split.

    What has to be known (the world, synonyms, the second language, tables of sums) is the same
    in both splits; pairs of numbers in word problems are not, though the small steps of their
    sums are.

    Args:
        split: Which words may occur.
        facts: Who writes facts, with words of that split; None: one that scrambles no answers.
    """

    def __init__(self, split: Split = "train", facts: FactWriter | None = None):
        self.facts = facts or FactWriter(split)
        self.language, self.world = second_language(), world_facts()
        self._split = split
        self._plain_attributes = [a for a in self.facts.attributes if a not in SYNONYMS]

    def fact(self, rng: random.Random) -> Exercise:
        """A fact in one of many forms, and another one that shares its subject or attribute."""
        right, other = self.facts.facts(rng, 2, related=0.6)
        item = TaskItem("fact", right.question, (right.answer,))
        return Exercise(item, READING, (right.text, other.text))

    def inside(self, rng: random.Random) -> Exercise:
        """A fact whose answer stands inside its sentence, and another of the same subject."""
        subject, attribute, other, answer, wrong = self._two_of_one(rng)
        (said, asked), (said_too, _) = pick(rng, INSIDE), pick(rng, INSIDE)
        right = said.format(s=subject, a=attribute, v=answer)
        more = said_too.format(s=subject, a=other, v=wrong)
        item = TaskItem("inside", asked.format(s=subject, a=attribute), (answer,))
        return Exercise(item, READING, (capitalise(right), capitalise(more)))

    def synonym(self, rng: random.Random) -> Exercise:
        """A fact asked for in another word than it is said in."""
        first, second = pick(rng, list(SYNONYMS.items())), pick(rng, list(SYNONYMS.items()))
        pair, other = (first, second) if rng.random() < 0.5 else (first[::-1], second[::-1])
        subject, (answer, wrong) = self.facts.subject(rng), self._answers(rng, 2)
        right = f"The {pair[0]} of {subject} is {answer}."
        more = () if first == second else (f"The {other[0]} of {subject} is {wrong}.",)
        item = TaskItem("synonym", f"What is the {pair[1]} of {subject}?", (answer,))
        return Exercise(item, READING, (right, *more))

    def foreign(self, rng: random.Random) -> Exercise:
        """A fact said or asked for in the second language, mostly across languages."""
        # Of a language that is known by heart, as its words for unknown attributes can't be.
        subject, attribute, other, answer, wrong = self._two_of_one(rng, TRANSLATED)
        native = rng.random() < 0.4
        said = f"The {attribute} of {subject} is {answer}."
        if not native:
            said = self.language.statement(subject, attribute, answer)
        asked = f"What is the {attribute} of {subject}?"
        if native or rng.random() < 0.25:
            asked = self.language.question(subject, attribute)
        more = self.language.statement(subject, other, wrong)
        if native:
            more = f"The {other} of {subject} is {wrong}."
        return Exercise(TaskItem("foreign", asked, (answer,)), READING, (said, more))

    def two(self, rng: random.Random) -> Exercise:
        """Two facts of one subject, asked for at once."""
        subject, attribute, other, answer, second = self._two_of_one(rng)
        statements = tuple(
            f"The {a} of {subject} is {v}." for a, v in ((attribute, answer), (other, second))
        )
        question = f"What are the {attribute} and the {other} of {subject}?"
        return Exercise(TaskItem("two", question, (f"{answer} and {second}",)), READING, statements)

    def unstated(self, rng: random.Random) -> Exercise:
        """A question that its text does not answer, though it says something near it."""
        asked, near = self.facts.facts(rng, 2, related=0.8)
        item = TaskItem("unstated", asked.question, (UNSTATED,))
        return Exercise(item, READING, (near.text,))

    def hops(self, rng: random.Random, *, chain: bool) -> Exercise:
        """Two steps over facts in the text, with the way written or not."""
        pupil, middle, stranger, other = self._names(rng, 4)
        place, wrong, far = self._names(rng, 3)
        relation, (said, asked) = pick(rng, RELATIONS), pick(rng, HOPS)
        first = f"{pupil}'s {relation} is {middle}."
        second = said.format(p=middle, v=place)
        more = [f"{other}'s {relation} is {stranger}.", said.format(p=stranger, v=wrong)]
        if rng.random() < 0.5:
            more.append(said.format(p=pupil, v=far))
        question = asked.format(who=f"{pupil}'s {relation}")
        item = TaskItem("hops", question, (place,), chain=f"{first} {second}")
        return Exercise(item, READING_CHAIN if chain else READING, (first, second, *more))

    def chosen(self, rng: random.Random, *, chain: bool) -> Exercise:
        """A fact of the text as a question with four lettered choices."""
        right, other = self.facts.facts(rng, 2, related=0.6)
        wrong = [other.answer, *self._answers(rng, 2)]
        item = _lettered(rng, right.question, right.answer, wrong, chain=right.text)
        template = READING_CHOICES_CHAIN if chain else READING_CHOICES
        return Exercise(item, template, (right.text, other.text))

    def known(self, rng: random.Random, *, answer_only: bool = False) -> Exercise:
        """A fact of the world, asked for without any text; its answer may be begun already."""
        fact = pick(rng, self.world)
        item = TaskItem("known", _asked(rng, fact), (fact.value,))
        return Exercise(item, ANSWER_ONLY if answer_only else CLOSED)

    def contradicted(self, rng: random.Random) -> Exercise:
        """A fact of the world where the text says otherwise; what is known is the item's chain."""
        fact = pick(rng, self.world)
        said = replace(fact, value=pick(rng, other_values(fact, self.world)))
        item = TaskItem("contradicted", _asked(rng, fact), (said.value,), chain=fact.value)
        return Exercise(item, READING, (said.statement,))

    def known_chosen(self, rng: random.Random, *, chain: bool) -> Exercise:
        """A fact of the world with four lettered choices."""
        fact = pick(rng, self.world)
        others = other_values(fact, self.world)
        wrong = sorted(others, key=lambda _: rng.random())[:3]
        item = _lettered(rng, _asked(rng, fact), fact.value, wrong, chain=fact.statement)
        return Exercise(item, CHOICES_CHAIN if chain else CHOICES)

    def total(self, rng: random.Random, *, chain: bool) -> Exercise:
        """A word problem of one addition or subtraction, with the way written or not."""
        first, sign, second = self._pair(rng)
        (name,), noun = self._names(rng, 1), self.facts.prose.expand(rng, "{nouns}")
        verb = "gives away" if sign == "-" else "finds"
        question = (
            f"{name} has {first} {noun} and {verb} {second} of them. "
            f"How many {noun} does {name} have now?"
        )
        way, result = sum_steps(first, sign, second)
        item = TaskItem("sum", question, (str(result),), chain=f"{name} has {first} {noun}. {way}")
        return Exercise(item, CHAIN if chain else ANSWER_ONLY)

    def step(self, rng: random.Random, *, chain: bool) -> Exercise:
        """A part of a sum by itself: tens or ones, with the way written, or two small numbers."""
        first, sign, second = self._pair(rng)
        if not chain:
            second = second % 10 or 1
            first = small_number(first, sign, second)
        elif rng.random() < 0.7:
            second = second % 10 or second
        way, result = sum_steps(first, sign, second)
        item = TaskItem("step", f"What is {first} {sign} {second}?", (str(result),), chain=way)
        return Exercise(item, CHAIN if chain else CLOSED)

    def letter(self, rng: random.Random, *, chain: bool) -> Exercise:
        """Which of four choices a word stands behind: half of them values of the world."""
        if rng.random() < 0.5:
            values = self._answers(rng, 4)
        else:
            fact = pick(rng, self.world)
            others = sorted(other_values(fact, self.world), key=lambda _: rng.random())
            values = [fact.value, *others[:3]]
        question, way = f"Which one is {values[0]}?", f"It is {values[0]}."
        item = _lettered(rng, question, values[0], values[1:], chain=way)
        return Exercise(item, CHOICES_CHAIN if chain else CHOICES)

    def _pair(self, rng: random.Random) -> tuple[int, str, int]:
        """Two numbers to add or subtract, of this split."""
        while True:
            first, second = 20 + int(rng.random() * 60), 2 + int(rng.random() * 18)
            sign = "-" if rng.random() < 0.5 else "+"
            if split_of(f"{first}{sign}{second}") == self._split:
                return first, sign, second

    def _two_of_one(
        self, rng: random.Random, attributes: Sequence[str] = ()
    ) -> tuple[str, str, str, str, str]:
        """A subject, two of the attributes or of those of the split, and their answers."""
        attributes = attributes or self._plain_attributes
        first = second = pick(rng, attributes)
        while second == first:
            second = pick(rng, attributes)
        answer, other = self._answers(rng, 2)
        return self.facts.subject(rng), first, second, answer, other

    def _answers(self, rng: random.Random, n: int) -> list[str]:
        """Different answers."""
        found: dict[str, None] = {}
        while len(found) < n:
            found[self.facts.answer(rng)] = None
        return list(found)

    def _names(self, rng: random.Random, n: int) -> list[str]:
        found: dict[str, None] = {}
        while len(found) < n:
            found[self.facts.prose.expand(rng, "{name}")] = None
        return list(found)


def _asked(rng: random.Random, fact: WorldFact) -> str:
    """The question for a fact of the world, in a form that is drawn."""
    return fact.question(int(rng.random() * len(QUESTIONS)))


def _lettered(
    rng: random.Random, question: str, answer: str, wrong: Sequence[str], *, chain: str
) -> TaskItem:
    """A question with lettered choices, in an order that is drawn."""
    choices = sorted({answer, *wrong})
    choices.sort(key=lambda _: rng.random())
    letter = LETTERS[choices.index(answer)]
    return TaskItem("chosen", question, (letter,), choices=tuple(choices), chain=chain)
