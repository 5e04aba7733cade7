"""What is benchmarked: the bundled model and Llamas with random weights."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from rh_lens.bench.methods import Bench, make_bench
from rh_lens.checks import require_flag, require_type, require_whole_number
from rh_lens.demo import DEMO_MODEL_FOLDER
from rh_lens.prompts import (
    NeedlePrompt,
    build_grid,
    build_packed_grid,
    default_needles,
    synthetic_haystack,
)
from rh_lens.runtime import Bridge

N_DEPTHS = 10
# Tokens of every answer of a random-weight model; the bundled one ends its answers itself.
N_NEW_TOKENS = 30
LARGE_LENGTHS = (4096, 8192, 32768, 131072)
"""Lengths at which models of a billion parameters and more are timed."""
# Needles that share a haystack, the first number for which it has places; and turns that are asked.
N_TOGETHER, N_TURNS = (12, 4, 2), 2


@dataclass(frozen=True)
class BenchModel:
    """A model to benchmark.

    Args:
        name: For the table.
        lengths: Prompt lengths in tokens.
        make: Makes the bench.
        drafts: Whether drafts are accepted or refused: whether the model copies its needles.
        n_needles: Needles at each of the ten depths.
    """

    name: str
    lengths: tuple[int, ...]
    make: Callable[[], Bench]
    drafts: str
    n_needles: int = 1


def bench_models(
    device: torch.device, *, quick: bool, dtype: torch.dtype | None = None
) -> list[BenchModel]:
    """The models for this device; `quick` keeps the bundled one at its shorter lengths.

    Args:
        device: Where they are to run.
        quick: The bundled model only.
        dtype: Precision of the random weights; None: 32 bits, of the large models bfloat16.

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> [one.name for one in bench_models(torch.device("cpu"), quick=True)]
        ['bundled']
    """
    require_type("device", device, torch.device, remedy="Make one with torch.device(...).")
    require_flag("quick", quick)
    if dtype is not None:
        require_type("dtype", dtype, torch.dtype, remedy="Pass torch.bfloat16.")
    small, large = dtype or torch.float32, dtype or torch.bfloat16
    if quick:
        return [BenchModel("bundled", (256, 1024), lambda: bundled(device), "accepted", 3)]
    models = [
        BenchModel("bundled", (256, 512, 1024, 2016), lambda: bundled(device), "accepted", 3),
        BenchModel(
            "random 27M", (1024, 4096, 8192), lambda: random_llama(SMALL, device, small), "refused"
        ),
        BenchModel(
            "random 27M, repeats itself",
            (1024, 4096, 8192),
            lambda: random_llama(SMALL, device, small, spread=REPETITIVE),
            "accepted",
        ),
    ]
    if device.type == "cuda":
        models += [
            BenchModel(
                "random 1B",
                LARGE_LENGTHS,
                lambda: random_llama(ONE_BILLION, device, large),
                "refused",
            ),
            BenchModel(
                "random 8B",
                LARGE_LENGTHS,
                lambda: random_llama(EIGHT_BILLION, device, large),
                "refused",
            ),
        ]
    return models


SMALL = {
    "hidden_size": 512,
    "intermediate_size": 1376,
    "num_hidden_layers": 8,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
}
ONE_BILLION = {
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
}
EIGHT_BILLION = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
}


def bundled(device: torch.device) -> Bench:
    """The bundled model, which copies its needles and ends its answers."""
    model = AutoModelForCausalLM.from_pretrained(DEMO_MODEL_FOLDER, dtype=torch.float32)
    return make_bench(
        _bridge_of, model.to(device), max_new_tokens=32, eos=model.config.eos_token_id
    )


# Standard deviation of random weights: a model with small ones says one thing again and again,
# which drafts foresee; one with large ones never says what was expected.
REPETITIVE, ERRATIC = 0.02, 0.05


def random_llama(
    shape: dict[str, int],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    *,
    spread: float = ERRATIC,
) -> Bench:
    """A Llama with random weights of a standard deviation: right in size, wrong in its answers."""
    torch.manual_seed(0)
    config = LlamaConfig(
        **shape,
        vocab_size=len(_tokenizer()),
        max_position_embeddings=2**18,
        rope_parameters={"rope_type": "default", "rope_theta": 5e5},
        initializer_range=spread,
    )
    with torch.device(device):
        model = LlamaForCausalLM._from_config(config, dtype=dtype)
    return make_bench(_bridge_of, model, max_new_tokens=N_NEW_TOKENS, eos=None)


def bench_prompts(context_length: int, n_needles: int = 1) -> Sequence[NeedlePrompt]:
    """Needles at ten depths of a synthetic haystack.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are no so many needles, or no room for one.

    Examples:
        >>> len(bench_prompts(256))
        10
    """
    require_whole_number("context_length", context_length, at_least=1, at_most=2**20)
    require_whole_number("n_needles", n_needles, at_least=1, at_most=len(default_needles()))
    return build_grid(
        _tokenizer(),
        synthetic_haystack(),
        default_needles()[:n_needles],
        context_lengths=[context_length],
        depths=N_DEPTHS,
        allow_repeat=True,
    )


def packed_bench_prompts(context_length: int, n_turns: int = N_TURNS) -> Sequence[NeedlePrompt]:
    """Needles that share a synthetic haystack: twelve, four or two, as many as it has places for.

    Each turn hides them elsewhere. None where there is no place for two.

    Args:
        context_length: Tokens of the longest prompt.
        n_turns: Turns, at most; there are as many as needles.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The length or the number of turns is out of range.

    Examples:
        >>> len(packed_bench_prompts(256)[0].companions)
        3
    """
    require_whole_number("context_length", context_length, at_least=1, at_most=2**20)
    require_whole_number("n_turns", n_turns, at_least=1, at_most=len(default_needles()))
    for n_together in N_TOGETHER:
        with suppress(ValueError):
            grid = build_packed_grid(
                _tokenizer(),
                synthetic_haystack(),
                default_needles()[:n_together],
                context_lengths=[context_length],
                depths=n_together,
                allow_repeat=True,
            )
            return [prompt for prompt in grid if prompt.turn < n_turns]
    return []


def _tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(DEMO_MODEL_FOLDER)


def _bridge_of(model: Any) -> Bridge:
    # Imported here because that takes several seconds.
    from transformer_lens.model_bridge import TransformerBridge

    device, dtype = next(model.parameters()).device, next(model.parameters()).dtype
    return TransformerBridge.boot_transformers(
        "rh-lens-bench", hf_model=model, tokenizer=_tokenizer(), device=device, dtype=dtype
    )
