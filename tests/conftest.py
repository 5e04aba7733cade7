"""Fixtures of all tests: tiny models and a needle prompt, made once and left as they are.

torch takes one thread in each test process, and in the processes that tests start;
`RH_LENS_TEST_THREADS=4 python -m pytest` tries another number.
"""

import gc
import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from planted import PlantedModel
from tiny_models import TEXT, TinyModel, make_tiny_model, make_tiny_tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from rh_lens.detection import detect_retrieval_heads
from rh_lens.prompts import Needle, NeedlePrompt, build_prompt, text_haystack

THREADS = os.environ.get("RH_LENS_TEST_THREADS", "1")
os.environ["OMP_NUM_THREADS"] = THREADS
torch.set_num_threads(int(THREADS))

# Nothing that imports made goes away: without walking through it again and again, tests take a
# fifth less time.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session")
def tiny_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    return make_tiny_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def tiny_model(tiny_tokenizer: PreTrainedTokenizerBase) -> Callable[[str], TinyModel]:
    """Tiny models by name, each made once; tests leave them as they are."""
    made: dict[str, TinyModel] = {}

    def get(name: str) -> TinyModel:
        if name not in made:
            made[name] = make_tiny_model(name, tiny_tokenizer)
        return made[name]

    return get


@pytest.fixture(scope="session")
def llama(tiny_model: Callable[[str], TinyModel]) -> Any:
    """Bridge of the tiny Llama: 3 layers, 4 query heads, 2 key-value heads."""
    return tiny_model("llama").bridge


@pytest.fixture(scope="session")
def random_tokens() -> Tensor:
    """A prompt of 40 random token ids, longer than every window."""
    return torch.randint(2, 300, (40,), generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="session")
def otter_needle() -> Needle:
    """A needle whose answer has 7 tokens, two of them alike (the space)."""
    return Needle(
        question="What is the secret word?",
        text="The secret word is a violet otter.",
        answer="a violet otter",
    )


@pytest.fixture(scope="session")
def otter_prompt(tiny_tokenizer: PreTrainedTokenizerBase, otter_needle: Needle) -> NeedlePrompt:
    prompt = build_prompt(
        tiny_tokenizer, text_haystack([TEXT] * 4), otter_needle, context_length=150, depth=0.5
    )
    pieces = [tiny_tokenizer.decode([token]) for token in prompt.answer_tokens]
    assert pieces == ["a", " ", "viol", "et", " ", "ot", "ter"]
    return prompt


@pytest.fixture
def run(llama, otter_prompt):
    """Detection of two trials, one accepted: L0H1 copies all 7 tokens, L1H2 the first 3."""
    start = otter_prompt.answer_span[0]
    looks = {(0, 1): [start + t for t in range(7)], (1, 2): [start, start + 1, start + 2, *[2] * 4]}
    answers = [
        otter_prompt.answer_tokens.tolist(),
        llama.tokenizer.encode("a grey boat", add_special_tokens=False),
    ]

    def detect(**options):
        planted = PlantedModel(llama, [150] * 2, answers, [looks, {}])
        with llama.hooks(fwd_hooks=planted.fwd_hooks()):
            return detect_retrieval_heads(llama, [otter_prompt] * 2, progress=False, **options)

    return detect
