"""Fixtures of the evaluation tests: the bundled model, and answers made by hand."""

from collections.abc import Callable
from typing import Any

import pytest
from planted import PlantedModel
from tiny_models import TEXT

from rh_lens.evaluation import RecallResult, needle_recall
from rh_lens.prompts import Needle, NeedlePrompt, build_grid, text_haystack


@pytest.fixture(scope="session")
def demo_model() -> Any:
    """The bundled model; tests leave it as it is."""
    from rh_lens.demo import load_demo_model

    return load_demo_model()


@pytest.fixture(scope="session")
def prompts(tiny_tokenizer: Any, otter_needle: Needle) -> list[NeedlePrompt]:
    """Two needles at two lengths and three depths, the needle changing fastest."""
    heron = Needle("What is the word?", "The word is heron.", "heron")
    return build_grid(
        tiny_tokenizer,
        text_haystack([TEXT] * 8),
        [otter_needle, heron],
        context_lengths=[150, 200],
        depths=3,
    )


@pytest.fixture
def answer(llama: Any, otter_prompt: Any) -> Callable[..., RecallResult]:
    """Makes the tiny Llama answer the otter prompt with given texts, one trial each."""

    def make(*texts: str, looks: Any = None, **options: Any) -> RecallResult:
        said = [llama.tokenizer.encode(text, add_special_tokens=False) for text in texts]
        prompts = [otter_prompt] * len(texts)
        lengths = [len(otter_prompt.tokens)] * len(texts)
        planted = PlantedModel(llama, lengths, said, looks or [{}] * len(texts))
        with llama.hooks(fwd_hooks=planted.fwd_hooks()):
            # Room for every answer: the planted model ends each with an end of sequence.
            return needle_recall(llama, prompts, max_new_tokens=64, progress=False, **options)

    return make
