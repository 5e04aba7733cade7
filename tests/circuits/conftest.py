"""The bundled model with pairs of prompts, and a pair for the tiny random models."""

import dataclasses

import pytest
import torch
from planted_circuit import planted_bridge, repeated_tokens

from rh_lens.circuits import PromptPair, make_pairs
from rh_lens.demo import load_demo_model
from rh_lens.demo.training.held_out import held_out_prompts
from rh_lens.heads import Head

RETRIEVAL = [Head(2, head) for head in (2, 3, 4, 5)]
OTHERS = [Head(2, head) for head in (0, 1, 6, 7)]


@pytest.fixture(scope="session")
def retrieval():
    """The bundled model's retrieval heads."""
    return RETRIEVAL


@pytest.fixture(scope="session")
def others():
    """The other heads of their layer."""
    return OTHERS


@pytest.fixture(scope="session")
def demo():
    return load_demo_model()


@pytest.fixture(scope="session")
def demo_prompts(demo):
    return held_out_prompts(
        demo.tokenizer, context_lengths=[128], depths=[0.5], n_needles=4, seed=11
    )


@pytest.fixture(scope="session")
def answer_pairs(demo_prompts):
    return make_pairs(demo_prompts, "answer")


@pytest.fixture(scope="session")
def tiny_pair(otter_prompt):
    """The otter prompt, and one that differs in the answer's tokens and in one before it."""
    tokens, (start, stop) = otter_prompt.tokens.clone(), otter_prompt.answer_span
    tokens[start:stop] = torch.arange(200, 200 + stop - start)
    tokens[start - 3] = 190
    clean = dataclasses.replace(otter_prompt)
    return PromptPair(clean, tokens, "answer", "another", tokens[start:stop].clone())


@pytest.fixture(scope="session")
def planted(tiny_tokenizer):
    """Bridge of the planted model: see planted_circuit.py."""
    return planted_bridge(tiny_tokenizer)


@pytest.fixture(scope="session")
def planted_prompt(otter_prompt):
    """Random tokens and the beginning of the same again: the answer is what came next."""
    n, n_again = 40, 20
    tokens = repeated_tokens(n)[0][: 1 + n + n_again]
    span = (1 + n_again, 1 + n_again + 3)
    return dataclasses.replace(
        otter_prompt,
        tokens=tokens,
        answer_span=span,
        needle_span=(span[0] - 3, span[1] + 1),
        context_length=len(tokens),
    )
