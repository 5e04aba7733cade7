"""Prompts with names, words and numbers that training never used, among facts of one form."""

import random
from collections.abc import Sequence
from typing import Literal

from transformers import PreTrainedTokenizerBase

from rh_lens.demo.training.corpus import FactWriter
from rh_lens.prompts.build import build_grid
from rh_lens.prompts.haystack import Haystack, pydoc_haystack, text_haystack
from rh_lens.prompts.needle import Needle
from rh_lens.prompts.needle_prompt import NeedlePrompt
from rh_lens.prompts.synthetic import ProseWriter
from rh_lens.prompts.template import BASE_TEMPLATE, Template

HaystackKind = Literal["synthetic", "pydoc"]
# A prompt's haystack holds about this many facts of the needle's form, fewer where it is short.
N_DISTRACTORS = 4
_TOKENS_PER_SENTENCE = 28


def held_out_needles(n: int, seed: int) -> list[Needle]:
    """`n` needles of held-out words, names and numbers, with distinct questions."""
    return FactWriter("held-out").facts(random.Random(seed), n)


def distractor_haystack(needles: Sequence[Needle], seed: int, context_length: int) -> Haystack:
    """Held-out prose with facts about other things than the needles in every `gap`-th sentence."""
    rng = random.Random(seed)
    prose, facts = ProseWriter("held-out"), FactWriter("held-out")
    questions = {needle.question for needle in needles}
    n_sentences = context_length // _TOKENS_PER_SENTENCE
    gap = max(2, n_sentences // (N_DISTRACTORS + 1))
    sentences: list[str] = []
    # Twice the sentences: short ones must not leave the haystack too short.
    while len(sentences) < 2 * n_sentences + gap:
        fact = facts.fact(rng)
        if fact.question not in questions:
            sentences += [*(prose.sentence(rng) for _ in range(gap - 1)), fact.text]
    paragraphs = [" ".join(sentences[i : i + 6]) for i in range(0, len(sentences), 6)]
    return text_haystack(paragraphs, name=f"held-out-seed{seed}")


def held_out_prompts(
    tokenizer: PreTrainedTokenizerBase,
    *,
    context_lengths: Sequence[int],
    depths: int | Sequence[float],
    n_needles: int,
    seed: int,
    haystack: HaystackKind = "synthetic",
    template: Template = BASE_TEMPLATE,
) -> list[NeedlePrompt]:
    """A grid of held-out prompts; every length has its own needles and its own haystack."""
    prompts: list[NeedlePrompt] = []
    for length in context_lengths:
        needles = held_out_needles(n_needles, seed=seed + length)
        if haystack == "pydoc":
            text = pydoc_haystack()
        else:
            text = distractor_haystack(needles, seed + length, length)
        prompts += build_grid(
            tokenizer, text, needles, context_lengths=[length], depths=depths, template=template
        )
    return prompts
