"""Training documents of the second bundled model: texts with exercises, and exercises alone."""

import random
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from transformers import PreTrainedTokenizerFast

from rh_lens.demo.training.curriculum import Stage
from rh_lens.demo.training.documents import Document, DocumentWriter
from rh_lens.demo.training.exercises import Exercise, ExerciseWriter
from rh_lens.evaluation.tasks.template import fields_of, parts_of
from rh_lens.prompts.words import pick

Maker = Callable[[ExerciseWriter, random.Random], Exercise]
Kinds = Sequence[tuple[float, Maker]]

# Kinds of exercises about a text: the share of each; the share where the model is asked mostly for
# what it is weakest at.
_ABOUT_TEXT: Sequence[tuple[float, float, Maker]] = (
    (0.20, 0.05, ExerciseWriter.fact),
    (0.15, 0.20, ExerciseWriter.inside),
    (0.05, 0.05, ExerciseWriter.synonym),
    (0.17, 0.22, ExerciseWriter.foreign),
    (0.13, 0.20, ExerciseWriter.two),
    (0.08, 0.08, ExerciseWriter.unstated),
    (0.12, 0.10, partial(ExerciseWriter.hops, chain=True)),
    (0.02, 0.01, partial(ExerciseWriter.hops, chain=False)),
    (0.03, 0.03, partial(ExerciseWriter.chosen, chain=False)),
    (0.05, 0.06, partial(ExerciseWriter.chosen, chain=True)),
)
ABOUT_TEXT: Kinds = tuple((share, make) for share, _, make in _ABOUT_TEXT)
WEAK: Kinds = tuple((share, make) for _, share, make in _ABOUT_TEXT)
# Kinds without a text.
BY_HEART: Kinds = (
    (0.12, ExerciseWriter.known),
    (0.03, partial(ExerciseWriter.known, answer_only=True)),
    (0.12, partial(ExerciseWriter.known_chosen, chain=False)),
    (0.12, partial(ExerciseWriter.known_chosen, chain=True)),
    (0.09, partial(ExerciseWriter.letter, chain=False)),
    (0.10, partial(ExerciseWriter.letter, chain=True)),
    (0.18, partial(ExerciseWriter.total, chain=True)),
    (0.03, partial(ExerciseWriter.total, chain=False)),
    (0.10, partial(ExerciseWriter.step, chain=False)),
    (0.11, partial(ExerciseWriter.step, chain=True)),
)

# Vocabularies of blended words; the seed of their words; and of how many usual filler sentences
# there is one in each.
N_BLENDED, _BLENDED_SEED, _FILLER_SHARE = 200, 50_003, 250


class LessonWriter(DocumentWriter):
    """Writes documents of an exact length: a text and questions about it, or questions alone.

    Args:
        tokenizer: The demo models' tokenizer.
        rng: Source of every draw, the filler sentences included.
        n_filler_sentences: Filler sentences to draw from.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, rng: random.Random, *, n_filler_sentences: int
    ):
        super().__init__(tokenizer, rng, n_filler_sentences=n_filler_sentences)
        self._tokenizer = tokenizer
        self._exercises = ExerciseWriter("train", self._facts)
        self._usual = (self._exercises, self._filler)
        self._blended: list[tuple[ExerciseWriter, list[list[int]]]] = []

    def batch(self, stage: Stage) -> list[Document]:
        """The documents of one optimiser step."""
        return [self._document(stage) for _ in range(stage.batch)]

    def _take_words(self, blended: bool) -> None:
        """Write the next document with words of its own, or with the usual ones."""
        if blended and not self._blended:
            self._blended = self._blended_writers()
        of_words = pick(self._rng, self._blended) if blended else self._usual
        self._exercises, self._filler = of_words
        self._facts = self._exercises.facts

    def _blended_writers(self) -> list[tuple[ExerciseWriter, list[list[int]]]]:
        """Writers of exercises with words of their own, and filler sentences with the same."""
        rng, (usual, sentences) = random.Random(_BLENDED_SEED), self._usual
        n_sentences = max(4, len(sentences) // _FILLER_SHARE)
        found = []
        for _ in range(N_BLENDED):
            facts = usual.facts.of_blended_words(rng)
            filler = self._filler_sentences(n_sentences, facts, rng)
            found.append((ExerciseWriter("train", facts), filler))
        return found

    def _document(self, stage: Stage) -> Document:
        self._take_words(stage.blended > 0 and self._rng.random() < stage.blended)
        chance = self._rng.random()
        if chance < stage.repeated:
            return self.repeated_span(stage.length)
        if chance < stage.repeated + stage.alone:
            return self.alone(stage.length)
        if chance < stage.repeated + stage.alone + stage.plain:
            return self.questions(stage.length, 2 * stage.max_facts)
        return self.about_text(stage.length, stage.max_facts, weak=stage.weak)

    def about_text(self, length: int, max_facts: int, *, weak: bool = False) -> Document:
        """What the exercises need, hidden in a text; then the questions and their answers.

        Args:
            length: Tokens of the document.
            max_facts: Most exercises in it.
            weak: Whether they are mostly of the kinds that the model is weakest at.
        """
        kinds = WEAK if weak else ABOUT_TEXT
        while True:
            n_asked = 1 + int(self._rng.random() * max_facts)
            asked = [self._drawn(kinds) for _ in range(n_asked)]
            said = [text for one in asked for text in one.statements]
            encoded, questions = self._encoded(said, asked)
            room = length - 1 - sum(map(len, encoded)) - sum(len(q) + len(a) for q, a in questions)
            if room >= 0:
                break
            max_facts = max(1, max_facts - 1)
        encoded.sort(key=lambda _: self._rng.random())
        return _joined([[self._bos], *self._hide(encoded, room)], questions)

    def alone(self, length: int) -> Document:
        """Exercises without a text, each as if it stood at the beginning; filler at the end."""
        questions: list[tuple[list[int], list[int]]] = []
        left, facts = length, set[str]()
        while True:
            one = self._drawn(BY_HEART)
            if one.item.question in facts:
                continue
            facts.add(one.item.question)
            _, [(question, answer)] = self._encoded([], [one], cut=False)
            left -= 1 + len(question) + len(answer)
            if left < 0:
                break
            questions.append(([self._bos, *question], answer))
        left += 1 + len(question) + len(answer)
        document = _joined([], questions)
        rest = np.concatenate([[self._bos], *self._hide([], left - 1)] if left else [[]])
        tokens = np.concatenate([document.tokens, rest.astype(np.int64)])
        return Document(tokens, np.concatenate([document.answers, np.zeros(len(rest), dtype=bool)]))

    def _drawn(self, kinds: Kinds) -> Exercise:
        """An exercise of a kind drawn by its share."""
        chance = self._rng.random()
        for share, make in kinds:
            if (chance := chance - share) < 0:
                return make(self._exercises, self._rng)
        return kinds[0][1](self._exercises, self._rng)

    def _encoded(
        self, statements: Sequence[str], asked: Sequence[Exercise], *, cut: bool = True
    ) -> tuple[list[list[int]], list[tuple[list[int], list[int]]]]:
        """Token ids of the statements, and of every question and answer with its end.

        With `cut`, words may be cut into smaller pieces than usual, alike in the whole document.
        """
        prompts = [_pieces(one) for one in asked]
        texts = [" " + text for text in statements]
        texts += [piece for pieces in prompts for piece, fixed in pieces if not fixed]
        texts += [one.said for one in asked]
        encode = partial(self._segmenter.encode, rng=self._rng) if cut else self._segmenter.whole
        ids = iter(encode(texts))
        said = [next(ids) for _ in statements]
        questions = [
            [
                token
                for piece, fixed in pieces
                for token in (self._fixed(piece) if fixed else next(ids))
            ]
            for pieces in prompts
        ]
        answers = [[*next(ids), self._eos] for _ in asked]
        return said, list(zip(questions, answers, strict=True))

    def _fixed(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False)


def _pieces(exercise: Exercise) -> list[tuple[str, bool]]:
    """The prompt after its text, cut where words begin: fixed pieces, and those filled in."""
    fields = fields_of(exercise.item)
    text = exercise.template.text
    pieces: list[tuple[str, bool]] = []
    space = ""
    for part in parts_of(text, tuple(fields)):
        fixed = part not in fields
        content = space + fields.get(part, part)
        # The space before a word belongs to its first token.
        space = " " if fixed and content.endswith(" ") else ""
        content = content.removesuffix(space) if space else content
        if content:
            pieces.append((content, fixed))
    return pieces


def _joined(
    text: Sequence[Sequence[int]], questions: Sequence[tuple[list[int], list[int]]]
) -> Document:
    """A text and what is asked after it, with the answers marked."""
    parts: list[Sequence[int]] = [*text]
    marks = [np.zeros(sum(map(len, text)), dtype=bool)]
    for question, answer in questions:
        parts += [question, answer]
        marks += [np.zeros(len(question), dtype=bool), np.ones(len(answer), dtype=bool)]
    return Document(np.concatenate(parts).astype(np.int64), np.concatenate(marks))
