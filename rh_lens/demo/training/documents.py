"""Training documents as token ids: facts hidden in prose and asked for, or a span said twice."""

import random
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from transformers import PreTrainedTokenizerFast

from rh_lens.demo.training.corpus import FactWriter
from rh_lens.demo.training.curriculum import Stage
from rh_lens.demo.training.tokenizer import word_pieces
from rh_lens.demo.training.word_splitting import Segmenter
from rh_lens.prompts.needle import Needle
from rh_lens.prompts.template import BASE_TEMPLATE, Template

# Share of filler sentences made of random pieces, so that unknown prose is no surprise.
SCRAMBLED_FILLER = 0.08
# Share of filler sentences that start a paragraph.
PARAGRAPHS = 0.15


@dataclass(frozen=True)
class Document:
    """One training sequence.

    Args:
        tokens: Token ids.
        answers: Positions that hold a token of an answer or of a repetition, ends included.
    """

    tokens: Int[np.ndarray, " pos"]
    answers: Bool[np.ndarray, " pos"]


class DocumentWriter:
    """Writes documents of an exact length in tokens.

    Args:
        tokenizer: The demo model's tokenizer.
        rng: Source of every draw, the filler sentences included.
        n_filler_sentences: Filler sentences to draw from.
        template: How questions are asked; nothing may come before its context.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        rng: random.Random,
        *,
        n_filler_sentences: int,
        template: Template = BASE_TEMPLATE,
    ):
        self._rng = rng
        self._facts = FactWriter("train", word_pieces(tokenizer))
        self._segmenter = Segmenter(tokenizer)
        self._bos, self._eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        self._ordinary = range(len(tokenizer.all_special_ids), len(tokenizer))
        around = template.text.split("{context}")[1].split("{question}")
        self._ask, self._reply = (
            tokenizer.encode(text, add_special_tokens=False) for text in around
        )
        self._filler = self._filler_sentences(n_filler_sentences, self._facts, rng)

    def batch(self, stage: Stage) -> list[Document]:
        """The documents of one optimiser step."""
        return [
            self.repeated_span(stage.length)
            if self._rng.random() < stage.repeated
            else self.questions(stage.length, stage.max_facts)
            for _ in range(stage.batch)
        ]

    def repeated_span(self, length: int) -> Document:
        """Some random tokens, then a span of random tokens said until the document is full."""
        lead = self._random_tokens(int(self._rng.random() * length / 4))
        span = self._random_tokens(length // 8 + int(self._rng.random() * length * 3 / 8))
        tokens = np.concatenate([[self._bos], lead, np.resize(span, length)])[:length]
        return Document(tokens, np.arange(length) > len(lead) + len(span) + 1)

    def questions(self, length: int, max_facts: int) -> Document:
        """Facts among filler sentences, then half of them asked for and answered."""
        while True:
            n_facts = 1 + int(self._rng.random() * max_facts)
            facts = self._facts.facts(self._rng, n_facts)
            order = sorted(facts, key=lambda _: self._rng.random())
            said, questions, answers = self._encode(facts, order[: (n_facts + 1) // 2])
            room = length - 1 - sum(map(len, said + questions + answers))
            if room >= 0:
                break
            max_facts = max(1, max_facts - 1)
        pieces = [[self._bos], *self._hide(said, room)]
        marks = [np.zeros(sum(map(len, pieces)), dtype=bool)]
        for question, answer in zip(questions, answers, strict=True):
            pieces += [question, answer]
            marks += [np.zeros(len(question), dtype=bool), np.ones(len(answer), dtype=bool)]
        return Document(np.concatenate(pieces).astype(np.int64), np.concatenate(marks))

    def _encode(
        self, facts: list[Needle], asked: list[Needle]
    ) -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
        """Token ids of the facts, of the questions and of the answers with their ends."""
        texts = [" " + fact.text for fact in facts]
        texts += [" " + fact.question for fact in asked]
        texts += [f" {fact.answer}." for fact in asked]
        ids = self._segmenter.encode(texts, self._rng)
        n, m = len(facts), len(asked)
        questions = [[*self._ask, *question, *self._reply] for question in ids[n : n + m]]
        return ids[:n], questions, [[*answer, self._eos] for answer in ids[n + m :]]

    def _hide(self, said: list[list[int]], room: int) -> list[list[int]]:
        """The facts at random places among exactly `room` tokens of filler sentences."""
        text: list[list[int]] = []
        while room > 0:
            text.append(self._filler[int(self._rng.random() * len(self._filler))][:room])
            room -= len(text[-1])
        places = sorted(int(self._rng.random() * (len(text) + 1)) for _ in said)
        for place, fact in reversed(list(zip(places, said, strict=True))):
            text.insert(place, fact)
        return text

    def _filler_sentences(self, n: int, facts: FactWriter, rng: random.Random) -> list[list[int]]:
        """Token ids of sentences with the words of facts, drawn and cut by `rng`."""
        sentences = (_filler_sentence(facts, rng) for _ in range(n))
        return [self._segmenter.encode([sentence], rng)[0] for sentence in sentences]

    def _random_tokens(self, n: int) -> Int[np.ndarray, " pos"]:
        first, n_tokens = self._ordinary.start, len(self._ordinary)
        return np.array(
            [first + int(self._rng.random() * n_tokens) for _ in range(n)], dtype=np.int64
        )


def _filler_sentence(facts: FactWriter, rng: random.Random) -> str:
    before = "\n" if rng.random() < PARAGRAPHS else " "
    if rng.random() < SCRAMBLED_FILLER:
        return f"{before}{facts.scrambled(rng, 8 + int(rng.random() * 24))}."
    return before + facts.prose.sentence(rng)
