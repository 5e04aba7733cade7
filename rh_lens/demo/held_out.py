"""Prompts with names, words and numbers that training never used, among facts of one form."""

import random
from collections.abc import Sequence
from typing import Literal

from transformers import PreTrainedTokenizerBase

from rh_lens.demo.corpus import FactWriter
from rh_lens.prompts.build import build_grid
from rh_lens.prompts.haystack import Haystack, pydoc_haystack, text_haystack
from rh_lens.prompts.needle import Needle
from rh_lens.prompts.needle_prompt import NeedlePrompt
from rh_lens.prompts.synthetic import ProseWriter

HaystackKind = Literal["synthetic", "pydoc"]
# In held-out prose every sixth sentence or so is a fact of the needles' form.
DISTRACTOR_SHARE = 0.16


def held_out_needles(n: int, seed: int) -> list[Needle]:
    """`n` needles of held-out words, names and numbers, with distinct questions."""
    return FactWriter("held-out").facts(random.Random(seed), n)


def distractor_haystack(needles: Sequence[Needle], seed: int, n_sentences: int = 600) -> Haystack:
    """Held-out prose with facts in it that are about other subjects than the needles are."""
    rng = random.Random(seed)
    prose, facts = ProseWriter("held-out"), FactWriter("held-out")
    questions = {needle.question for needle in needles}
    sentences: list[str] = []
    while len(sentences) < n_sentences:
        if rng.random() < DISTRACTOR_SHARE:
            fact = facts.fact(rng)
            if fact.question not in questions:
                sentences.append(fact.text)
        else:
            sentences.append(prose.sentence(rng))
    paragraphs = [" ".join(sentences[i : i + 6]) for i in range(0, n_sentences, 6)]
    return text_haystack(paragraphs, name=f"held-out-seed{seed}")


def held_out_prompts(
    tokenizer: PreTrainedTokenizerBase,
    *,
    context_lengths: Sequence[int],
    depths: int | Sequence[float],
    n_needles: int,
    seed: int,
    haystack: HaystackKind = "synthetic",
) -> list[NeedlePrompt]:
    """A grid of held-out prompts; every length has its own needles and its own haystack."""
    prompts: list[NeedlePrompt] = []
    for length in context_lengths:
        needles = held_out_needles(n_needles, seed=seed + length)
        text = (
            pydoc_haystack() if haystack == "pydoc" else distractor_haystack(needles, seed + length)
        )
        prompts += build_grid(tokenizer, text, needles, context_lengths=[length], depths=depths)
    return prompts
